"""Messages about alerts: on `shop.alerts` when an alert opens or closes, and to webhooks when it opens."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from stream_app.core.causes.explanation import Explanation, Key, Number, Probability
from stream_app.core.events.schema import (
    DEFAULT_SHOP,
    LATEST,
    Id,
    Instant,
    Name,
    refuse,
)
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.schema import Version
from stream_app.core.units import EPOCH, micros


class AlertOpened(msgspec.Struct, frozen=True, tag="opened", omit_defaults=True):
    """An alert was opened. Staff should act before it expires.

    Attributes:
        rank: rank among the alerts of the day, starting at 1; 0 for urgent alerts, which are not ranked.
        urgent: whether a complaint missed its service target; such alerts are delivered at once, regardless of risk.
        lost_probability: probability that the customer is lost, if calls are planned.
        act_by: latest time to contact the customer, if calls are planned.
        expected_value: what the customer is expected to bring within the horizon, net of returns and by the shop's
            margin, if calls are planned.
        next_order_from: beginning of the interval that holds the next order with a probability of 80 %, if calls are
            planned.
        next_order_to: its end; missing if it is open, because the customer may well not return.
        experiment: name of the holdout experiment in which the customer was drawn to be called; empty: none.
        policy: version of the contact policy, if calls are planned.
        contact_rules: rules of the contact policy for the staff, if it has any.
        holdout_share: share of customers held out in the experiment when the customer was drawn first.
        find_out: whether the likely causes are hidden, so that staff find out without a hint why the customer leaves.
    """

    alert_id: Id
    customer_id: Id
    opened_at: Instant
    expires_at: Instant
    rank: Annotated[int, msgspec.Meta(ge=0, le=10**6)]
    probability: Probability
    monthly_worth: Number
    silent_days: Number
    usual_gap_days: Number | None
    source: Key  # prior or model
    version: Version
    shop_id: Id = DEFAULT_SHOP
    urgent: bool = False
    explanation: Explanation = Explanation()
    lost_probability: Probability | None = None
    act_by: Instant | None = None
    expected_value: Number | None = None
    next_order_from: Instant | None = None
    next_order_to: Instant | None = None
    experiment: Name = ""
    policy: Key = ""
    contact_rules: ContactRules | None = None
    holdout_share: Probability = 0.0
    find_out: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for times outside 1970 to 2200."""
        for name in ("opened_at", "expires_at"):
            if not EPOCH <= getattr(self, name) < LATEST:
                refuse(name, "is not between 1970 and 2200", "check the time's unit and format")

    @property
    def latest(self) -> int:
        """Latest past time in the message, microseconds."""
        return micros(self.opened_at)


class AlertHeldOut(msgspec.Struct, frozen=True, tag="held_out", omit_defaults=True):
    """A customer was drawn to be left alone, so that the effect of the calls can be measured.

    Nobody should contact the customer about leaving until the alert closes.

    Attributes:
        experiment: name of the holdout experiment.
        lost_probability: probability that the customer is lost.
        cause: most likely cause; empty if unknown.
        policy: version of the contact policy.
        holdout_share: share of customers held out in the experiment when the customer was drawn first.
        segments: the customer's segments.
    """

    alert_id: Id
    customer_id: Id
    opened_at: Instant
    expires_at: Instant
    experiment: Name
    probability: Probability
    monthly_worth: Number
    lost_probability: Probability
    shop_id: Id = DEFAULT_SHOP
    cause: Name = ""
    policy: Key = ""
    holdout_share: Probability = 0.0
    segments: Annotated[tuple[Key, ...], msgspec.Meta(max_length=17)] = ()

    @property
    def latest(self) -> int:
        """Latest past time in the message, microseconds."""
        return micros(self.opened_at)


class AlertClosed(msgspec.Struct, frozen=True, tag="closed", omit_defaults=True):
    """An alert was closed because the customer returned or is lost, the risk fell, or the staff resolved it.

    Attributes:
        outcome: one of staff_actions.OUTCOMES, if the reason is `resolved`.
        cause: cause confirmed by the staff, if the reason is `resolved`; empty if unknown.
        staff: name of the person who resolved it, if the reason is `resolved`.
    """

    alert_id: Id
    customer_id: Id
    closed_at: Instant
    reason: Key
    outcome: Name = ""
    cause: Name = ""
    staff: Name = ""

    @property
    def latest(self) -> int:
        """Latest past time in the message, microseconds."""
        return micros(self.closed_at)


class AlertText(msgspec.Struct, frozen=True):
    """The text of an alert, as it is sent to chats.

    Attributes:
        title: title in one line.
        markdown: whole text as Markdown.
        plain: whole text without markup.
    """

    title: str
    markdown: str
    plain: str


class WebhookData(msgspec.Struct, frozen=True):
    """The content of a webhook.

    Attributes:
        alert: the alert, as on the alerts topic.
        message: its text in the language of the channel.
    """

    alert: AlertOpened
    message: AlertText


class WebhookBody(msgspec.Struct, frozen=True, tag="alert.opened"):
    """The body of a webhook, in the form of Standard Webhooks. Later releases may add fields.

    Attributes:
        timestamp: time when the alert was opened.
    """

    timestamp: Instant
    data: WebhookData


AlertMessage: TypeAlias = AlertOpened | AlertHeldOut | AlertClosed
_alerts: Final[msgspec.json.Decoder[AlertMessage]] = msgspec.json.Decoder(AlertMessage)
decode_alert: Final = _alerts.decode

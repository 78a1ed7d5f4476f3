"""Messages on `shop.alerts`: an alert has opened or closed."""

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
from stream_app.core.messages.schema import Version
from stream_app.core.units import EPOCH, MICROSECOND


class AlertOpened(msgspec.Struct, frozen=True, tag="opened", omit_defaults=True):
    """An alert has opened: the staff should act until it expires.

    Attributes:
        rank: place among the alerts of the day, from 1; 0 for an urgent alert, which is not ranked.
        urgent: whether a complaint has missed its service target; delivered at once, whatever the risk.
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

    def __post_init__(self) -> None:
        """Raise ValueError for times outside 1970 to 2200."""
        for name in ("opened_at", "expires_at"):
            if not EPOCH <= getattr(self, name) < LATEST:
                refuse(name, "is not between 1970 and 2200", "check the time's unit and format")

    @property
    def latest(self) -> int:
        """Latest past time in the message, microseconds."""
        return (self.opened_at - EPOCH) // MICROSECOND


class AlertClosed(msgspec.Struct, frozen=True, tag="closed", omit_defaults=True):
    """An alert has closed: the customer returned or is lost, the risk has fallen, or the staff has resolved it.

    Attributes:
        outcome: with reason `resolved`: one of staff_actions.OUTCOMES.
        cause: with reason `resolved`: as confirmed by the staff, empty if unknown.
        staff: with reason `resolved`: who resolved it.
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
        return (self.closed_at - EPOCH) // MICROSECOND


AlertMessage: TypeAlias = AlertOpened | AlertClosed
_alerts: Final[msgspec.json.Decoder[AlertMessage]] = msgspec.json.Decoder(AlertMessage)
decode_alert: Final = _alerts.decode

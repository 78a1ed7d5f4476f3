"""Alert views: the plain values available to templates."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from stream_app.core.alerts.sla import LOW_REVIEW, UNANSWERED, UNSOLVED
from stream_app.core.events.schema import DEFAULT_SHOP
from stream_app.core.kpis.risk_bands import band_of
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.messages.contact_rules import ContactRules, is_stopped
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.i18n import Translator
from stream_app.notifications.messages.masking import harmless, mask
from stream_app.notifications.playbook.measures import COMPLAINS, Channel, Measure, Playbook

URGENT_CAUSE: Final = "unresolved_complaint"  # cause of an SLA breach, regardless of other causes
# Evidence that says the same as the reason of an urgent alert.
_REPEATED: Final = {LOW_REVIEW: "low_rating", UNANSWERED: "slow_answer", UNSOLVED: "open_complaint"}
MIN_WORTH: Final = 0.5  # lower probabilities round to zero and are not shown
HARASSED: Final = "ad_harassment"
_HARASSED_FROM: Final = 0.15  # from this probability, its warnings are added to those of another cause
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # ids of this form are shown unchanged and can be copied
_translator: Final = cache(Translator)
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # valid keys of causes, segments and evidence rules


@dataclass(frozen=True)
class CauseView:
    """A cause and its probability in percent."""

    name: str
    percent: int


@dataclass(frozen=True)
class AlertView:
    """An alert, with all texts in the message's language."""

    alert_id: str
    who: str  # the masked customer id
    shop: str  # empty for the default shop
    segment: str  # empty if unknown
    urgent: bool
    review: bool  # whether the alert is urgent because of a low review, and not of a missed service target
    rank: int
    risk: str  # name of the risk band; empty if the customer has no score
    percent: int  # churn probability
    worth: str  # monthly revenue; empty if there is none yet
    silent_days: int
    silence: float | None  # multiple of the usual gap between orders, if the silence is longer
    causes: tuple[CauseView, ...]
    find_out: bool  # whether the likely causes are hidden, and staff are asked to find out the cause
    evidence: tuple[str, ...]
    steps: tuple[str, ...]
    channel: str  # phone, chat, sms, email, app or none
    never: tuple[str, ...]
    until: str  # in the shop's time zone
    expected: str  # value within the horizon; empty if calls are not planned or it rounds to zero
    horizon_days: int
    next_order_from: str  # first day of the interval of the next order; empty if calls are not planned
    next_order_to: str  # its last day; empty if it is open
    stopped: bool  # whether the policy has stopped a measure for one of the causes
    contacts_a_week: int  # maximum number of contacts with the customer
    contact_hours: str  # when to contact the customer, in the shop's time zone; empty if the policy sets no hours


class Views:
    """Creates alert views.

    Args:
        playbook: playbook of the shop.
        zone: time zone of the shop.
        currency: currency shown with amounts; may be empty.
        horizon: churn horizon of the shop, microseconds.
    """

    def __init__(self, playbook: Playbook, zone: str, currency: str, horizon: int = Settings().horizon) -> None:
        self._playbook = playbook
        self._zone, self._currency = ZoneInfo(zone), currency
        self._horizon_days = round(horizon / DAY_US)

    def view(self, alert: AlertOpened, language: str) -> AlertView:
        """Return the view of an alert. Invalid keys are omitted."""
        translator = _translator(language)
        rules = alert.contact_rules or ContactRules()
        measure, gap = self._measure(alert, rules), alert.usual_gap_days
        channel, expected = Channel.NONE, alert.expected_value or 0.0
        if measure is not None:
            channel = self._playbook.channel(measure, alert.monthly_worth, urgent=alert.urgent)
        return AlertView(
            alert_id=alert.alert_id if _ID.fullmatch(alert.alert_id) else harmless(alert.alert_id),
            who=mask(alert.customer_id),
            shop="" if alert.shop_id == DEFAULT_SHOP else harmless(alert.shop_id),
            segment=_segments(alert.explanation.segments, translator),
            urgent=alert.urgent,
            review=alert.urgent and any(one.rule == LOW_REVIEW for one in alert.explanation.evidence[:1]),
            rank=alert.rank,
            risk=translator.name("risk_bands", band_of(alert.probability)) if alert.probability > 0 else "",
            percent=_percent(alert.probability),
            worth=translator.money(alert.monthly_worth, self._currency) if alert.monthly_worth >= MIN_WORTH else "",
            silent_days=round(alert.silent_days),
            silence=round(alert.silent_days / gap, 1) if gap and alert.silent_days >= gap else None,
            causes=_causes(alert, translator),
            find_out=alert.find_out,
            evidence=_evidence(alert, translator),
            steps=tuple(step.text(language) for step in measure.steps) if measure else (),
            channel=channel.value,
            never=self._never(alert, measure, language),
            until=f"{alert.expires_at.astimezone(self._zone):%Y-%m-%d %H:%M}",
            expected=translator.money(expected, self._currency) if expected >= MIN_WORTH else "",
            horizon_days=self._horizon_days,
            next_order_from=self._day(alert.next_order_from),
            next_order_to=self._day(alert.next_order_to),
            stopped=any(_is_stopped(key, alert, rules) for key in _keys(alert)),
            contacts_a_week=rules.per_week,
            contact_hours=translator.join(rules.hours),
        )

    def _day(self, at: datetime | None) -> str:
        return "" if at is None else f"{at.astimezone(self._zone):%Y-%m-%d}"

    def _measure(self, alert: AlertOpened, rules: ContactRules) -> Measure | None:
        """Return the measure for the likeliest cause in the playbook, without measures that the policy has stopped."""
        for key in _keys(alert):
            if _is_stopped(key, alert, rules):
                continue
            try:
                return self._playbook.measure(key, *alert.explanation.segments)
            except KeyError:
                continue
        return None

    def _never(self, alert: AlertOpened, measure: Measure | None, language: str) -> tuple[str, ...]:
        """Return the warnings of the measure and the playbook, after those of `ad_harassment` if it is likely."""
        texts = list(measure.never) if measure else []
        for cause in alert.explanation.causes:
            if cause.key == HARASSED and cause.probability >= _HARASSED_FROM:
                texts = [*self._playbook.measure(HARASSED, *alert.explanation.segments).never, *texts]
        return tuple(dict.fromkeys(text.text(language) for text in (*texts, *self._playbook.never)))


def _keys(alert: AlertOpened) -> list[str]:
    """Return the causes whose measures may be taken, likeliest first; urgent alerts always use `URGENT_CAUSE`."""
    return [URGENT_CAUSE] if alert.urgent else [cause.key for cause in alert.explanation.causes]


def _is_stopped(cause: str, alert: AlertOpened, rules: ContactRules) -> bool:
    return is_stopped(rules.stopped, cause, alert.explanation.segments)


def _causes(alert: AlertOpened, translator: Translator) -> tuple[CauseView, ...]:
    valid = [cause for cause in alert.explanation.causes if _KEY.fullmatch(cause.key)]
    return tuple(CauseView(translator.cause(cause.key), _percent(cause.probability)) for cause in valid)


def _evidence(alert: AlertOpened, translator: Translator) -> tuple[str, ...]:
    found = []
    repeated = {_REPEATED.get(evidence.rule) for evidence in alert.explanation.evidence[:1] if alert.urgent}
    for evidence in alert.explanation.evidence:
        if evidence.rule not in repeated and all(_KEY.fullmatch(key) for key in (evidence.rule, *evidence.numbers)):
            with suppress(KeyError):  # a number needed by the sentence is missing
                found.append(translator.evidence(evidence.rule, evidence.numbers))
    return tuple(found)


def _segments(keys: tuple[str, ...], translator: Translator) -> str:
    """Return the name of the customer's first segment, plus the next one if the customer is complaining."""
    shown = keys[:2] if keys[:1] == (COMPLAINS,) else keys[:1]
    return translator.join(translator.segment(key) for key in shown if _KEY.fullmatch(key))


def _percent(probability: float) -> int:
    """Return a whole percentage, limited to 1–99 since no prediction is certain.

    >>> _percent(0.9999), _percent(0.5)
    (99, 50)
    """
    return min(max(round(100 * probability), 1), 99)

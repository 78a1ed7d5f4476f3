"""What a message may tell of an alert: plain values, safe to show, as templates see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from stream_app.core.causes.explanation import Evidence
from stream_app.core.events.schema import DEFAULT_SHOP
from stream_app.core.messages.alerts import AlertOpened
from stream_app.notifications.messages.masking import harmless, mask
from stream_app.notifications.playbook.measures import COMPLAINS, Channel, Measure, Playbook

URGENT_CAUSE: Final = "unresolved_complaint"  # a complaint past its service target comes before every other cause
HALF_A_UNIT: Final = 0.5  # of money: less is said as nothing
HARASSED: Final = "ad_harassment"
_HARASSED_FROM: Final = 0.15  # probability from which its warnings are said beside another cause's measure
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # shown as it is, so that it can be copied
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # of a cause, a segment, a sign: nothing else is ours
_SURE: Final = (
    (0.9, "almost certain", "几乎确定"),
    (0.75, "very likely", "很可能"),
    (0.5, "likely", "较可能"),
    (0.0, "possible", "有可能"),
)


class Words(Protocol):
    """The names of things in both languages: the module `stream_app.i18n` is one."""

    def cause_name(self, key: str, lang: str) -> str:
        """Of a cause; of an unknown one the key, made readable, or a KeyError."""
        ...

    def segment_name(self, key: str, lang: str) -> str:
        """Of a segment; likewise."""
        ...

    def evidence_text(self, evidence: Evidence, lang: str) -> str:
        """A sign in words with its numbers; likewise."""
        ...


@dataclass(frozen=True)
class CauseView:
    """A cause by name, and its probability in per cent."""

    name: str
    percent: int


@dataclass(frozen=True)
class AlertView:
    """One alert. All texts are in the language of the message."""

    alert_id: str
    who: str  # the customer, masked
    shop: str  # empty: the only one
    segment: str  # empty: unknown
    urgent: bool
    rank: int
    sure: str  # probability in words; empty: an urgent case of a customer without a score
    percent: int
    worth: str  # money a month; empty: nothing yet
    silent_days: int
    silence: float | None  # in the customer's usual gaps; None: bought once
    causes: tuple[CauseView, ...]
    evidence: tuple[str, ...]
    steps: tuple[str, ...]
    channel: str  # phone, chat, sms, email, app or none
    never: tuple[str, ...]
    until: str  # on the shop's clock


class Views:
    """Makes views of alerts.

    Args:
        playbook: of the shop.
        words: names in both languages.
        zone: the shop's time zone.
        currency: shown beside money; empty: none.
    """

    def __init__(self, playbook: Playbook, words: Words, zone: str, currency: str) -> None:
        self._playbook, self._words = playbook, words
        self._zone, self._currency = ZoneInfo(zone), currency

    def view(self, alert: AlertOpened, language: str) -> AlertView:
        """What may be told of an alert. What is unknown to this version (a new cause, a new sign) is left out."""
        measure, gap = self._measure(alert), alert.usual_gap_days
        channel = Channel.NONE
        if measure is not None:
            channel = self._playbook.channel(measure, alert.monthly_worth, urgent=alert.urgent)
        return AlertView(
            alert_id=alert.alert_id if _ID.fullmatch(alert.alert_id) else harmless(alert.alert_id),
            who=mask(alert.customer_id),
            shop="" if alert.shop_id == DEFAULT_SHOP else harmless(alert.shop_id),
            segment=self._segments(alert.explanation.segments, language),
            urgent=alert.urgent,
            rank=alert.rank,
            sure=how_sure(alert.probability, language) if alert.probability > 0 else "",
            percent=_percent(alert.probability),
            worth=_money(alert.monthly_worth, self._currency) if alert.monthly_worth >= HALF_A_UNIT else "",
            silent_days=round(alert.silent_days),
            silence=round(alert.silent_days / gap, 1) if gap else None,
            causes=self._causes(alert, language),
            evidence=self._evidence(alert, language),
            steps=tuple(step.said(language) for step in measure.steps) if measure else (),
            channel=channel.value,
            never=self._never(alert, measure, language),
            until=f"{alert.expires_at.astimezone(self._zone):%Y-%m-%d %H:%M}",
        )

    def _measure(self, alert: AlertOpened) -> Measure | None:
        """For the likeliest cause that the playbook knows; an open complaint first, where it is urgent."""
        keys = [URGENT_CAUSE] if alert.urgent else [cause.key for cause in alert.explanation.causes]
        for key in keys:
            try:
                return self._playbook.measure(key, *alert.explanation.segments)
            except KeyError:
                continue
        return None

    def _never(self, alert: AlertOpened, measure: Measure | None, language: str) -> tuple[str, ...]:
        """Of the measure; of too many messages, where that may be a cause too; and what holds for all."""
        texts = list(measure.never) if measure else []
        for cause in alert.explanation.causes:
            if cause.key == HARASSED and cause.probability >= _HARASSED_FROM:
                texts = [*self._playbook.measure(HARASSED, *alert.explanation.segments).never, *texts]
        return tuple(dict.fromkeys(text.said(language) for text in (*texts, *self._playbook.never)))

    def _causes(self, alert: AlertOpened, language: str) -> tuple[CauseView, ...]:
        found = []
        for cause in alert.explanation.causes:
            if not _KEY.fullmatch(cause.key):
                continue
            try:
                found.append(CauseView(self._words.cause_name(cause.key, language), _percent(cause.probability)))
            except KeyError:
                continue
        return tuple(found)

    def _evidence(self, alert: AlertOpened, language: str) -> tuple[str, ...]:
        found = []
        for one in alert.explanation.evidence:
            if not all(_KEY.fullmatch(key) for key in (one.rule, *one.numbers)):
                continue
            try:
                found.append(self._words.evidence_text(one, language))
            except KeyError:
                continue
        return tuple(found)

    def _segments(self, keys: tuple[str, ...], language: str) -> str:
        """The first segment by name; of who complains the next one too, whose steps follow those for the complaint."""
        shown = keys[:2] if keys[:1] == (COMPLAINS,) else keys[:1]
        names = [name for key in shown if (name := self._segment(key, language))]
        return ("、" if language == "zh" else ", ").join(names)

    def _segment(self, key: str, language: str) -> str:
        try:
            return self._words.segment_name(key, language) if _KEY.fullmatch(key) else ""
        except KeyError:
            return ""


def how_sure(probability: float, language: str) -> str:
    """A probability in words.

    >>> how_sure(0.8, "en"), how_sure(0.8, "zh")
    ('very likely', '很可能')
    """
    _, en, zh = next(row for row in _SURE if probability >= row[0] or row[0] == 0.0)
    return zh if language == "zh" else en


def _percent(probability: float) -> int:
    """In whole per cent, and never 0 or 100: nothing is certain.

    >>> _percent(0.9999), _percent(0.5)
    (99, 50)
    """
    return min(max(round(100 * probability), 1), 99)


def _money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}".strip()

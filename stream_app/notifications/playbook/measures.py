"""What the staff should do about a cause of leaving: the values that a playbook holds."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from stream_app.core.causes.catalogue import CAUSES as KNOWN
from stream_app.core.causes.catalogue import FAMILY
from stream_app.core.segments.segments import COMPLAINING, SEGMENTS

# A cause that events cannot split is told by the name of its family, and needs a measure too.
CAUSES: Final = (*KNOWN, FAMILY)
COMPLAINS: Final = SEGMENTS[COMPLAINING]
DEFAULT: Final = "default"  # stands where a segment would: for all customers
LANGUAGES: Final = ("en", "zh")


class Kind(enum.Enum):
    """What a measure is to the customer; limits depend on it."""

    SERVICE = "service"  # puts something right that went wrong: allowed at any time
    CARE = "care"  # a contact without an offer
    PROMOTION = "promotion"  # a contact with an offer
    REST = "rest"  # nobody contacts the customer


class Channel(enum.Enum):
    """How the customer is reached."""

    PHONE = "phone"
    CHAT = "chat"
    SMS = "sms"
    EMAIL = "email"
    APP = "app"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in both languages."""

    en: str
    zh: str

    def said(self, language: str) -> str:
        """In one of them.

        >>> Text("Call", "致电").said("zh")
        '致电'
        """
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Measure:
    """What to do first.

    Attributes:
        kind: what it is to the customer.
        steps: in order, the first one first.
        channels: best first; a call is made only where the limits allow it.
        never: what would make it worse.
    """

    kind: Kind
    steps: tuple[Text, ...]
    channels: tuple[Channel, ...]
    never: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one entry of a playbook says of a measure; None: as the next broader entry has it."""

    kind: Kind | None = None
    steps: tuple[Text, ...] | None = None
    channels: tuple[Channel, ...] | None = None
    never: tuple[Text, ...] | None = None


_SILENT: Final = Part()
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Limits:
    """Restraint, whatever the cause.

    Attributes:
        contacts_a_week: care contacts to one customer, at most.
        phone_from: money a month, in the shop's currency, from which a customer is called; for service all are.
    """

    contacts_a_week: int = 1
    phone_from: float = 200.0


@dataclass(frozen=True)
class Playbook:
    """The measures of a shop: by cause, and within a cause by segment.

    A shop's own entries stand before all shipped ones of the cause; within each, the segment's before the default. Of
    several segments of a customer, the first with an entry counts. `complaining` is no kind of buyer but something that
    happens to one: its texts stand before those of the other segments, and hide none of them.
    """

    limits: Limits = Limits()
    never: tuple[Text, ...] = ()  # with every measure
    layers: tuple[dict[tuple[str, str], Part], ...] = field(default=())  # by cause and segment, the shop's own first

    def measure(self, cause: str, *segments: str) -> Measure:
        """The measure for a cause and a customer's segments, the first one first. Raises KeyError for a cause.

        An unknown segment has the default.
        """
        complains = tuple(one for one in segments if one == COMPLAINS)
        others = tuple(one for one in segments if one != COMPLAINS)
        if not any(key == cause for layer in self.layers for key, _ in layer):
            raise KeyError(cause)
        kind, _ = self._first(cause, (*complains, *others), lambda part: part.kind)
        channels, _ = self._first(cause, (*complains, *others), lambda part: part.channels)
        return Measure(
            kind=kind or Kind.CARE,
            steps=self._joined(cause, complains, others, lambda part: part.steps),
            channels=channels or (),
            never=self._joined(cause, complains, others, lambda part: part.never),
        )

    def _first(
        self, cause: str, segments: tuple[str, ...], field_of: Callable[[Part], _T | None]
    ) -> tuple[_T | None, bool]:
        """What the first entry that says it has for a field, and whether it is an entry of one of the segments."""
        for layer in self.layers:
            for segment in (*segments, DEFAULT):
                value = field_of(layer.get((cause, segment), _SILENT))
                if value is not None:
                    return value, segment != DEFAULT
        return None, False

    def _joined(
        self,
        cause: str,
        complains: tuple[str, ...],
        others: tuple[str, ...],
        field_of: Callable[[Part], tuple[Text, ...] | None],
    ) -> tuple[Text, ...]:
        """The texts for a complaint, then those of the other segments; the default's where there is no first part."""
        first, of_complaint = self._first(cause, complains, field_of)
        then, of_others = self._first(cause, others, field_of)
        if not of_complaint:
            return then or ()
        return tuple(dict.fromkeys((*(first or ()), *((then or ()) if of_others else ()))))

    def overridden(self, cause: str) -> list[str]:
        """The segments with an entry of their own for a cause, in their fixed order."""
        return [segment for segment in SEGMENTS if any((cause, segment) in layer for layer in self.layers)]

    def channel(self, measure: Measure, monthly_worth: float, *, urgent: bool = False) -> Channel:
        """How to reach a customer: the first of the measure's channels that restraint allows."""
        may_call = urgent or measure.kind is Kind.SERVICE or monthly_worth >= self.limits.phone_from
        return next((one for one in measure.channels if may_call or one is not Channel.PHONE), Channel.NONE)

"""What the staff should do about a cause of leaving: the values that a playbook holds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from stream_app.core.priors import CAUSES as KNOWN
from stream_app.core.priors import FAMILY
from stream_app.core.segments import SEGMENTS

# A cause that events cannot split is told by the name of its family, and needs a measure too.
CAUSES: Final = (*KNOWN, FAMILY)
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

    A shop's own entries stand before all shipped ones of the cause; within each, the segment's before the default.
    """

    limits: Limits = Limits()
    never: tuple[Text, ...] = ()  # with every measure
    layers: tuple[dict[tuple[str, str], Part], ...] = field(default=())  # by cause and segment, the shop's own first

    def measure(self, cause: str, segment: str = DEFAULT) -> Measure:
        """The measure for a cause and a segment; an unknown segment has the default. Raises KeyError for a cause."""
        chain = [layer[key] for layer in self.layers for key in ((cause, segment), (cause, DEFAULT)) if key in layer]
        if not chain:
            raise KeyError(cause)
        return Measure(
            kind=next((part.kind for part in chain if part.kind is not None), Kind.CARE),
            steps=next((part.steps for part in chain if part.steps is not None), ()),
            channels=next((part.channels for part in chain if part.channels is not None), ()),
            never=next((part.never for part in chain if part.never is not None), ()),
        )

    def overridden(self, cause: str) -> list[str]:
        """The segments with an entry of their own for a cause, in their fixed order."""
        return [segment for segment in SEGMENTS if any((cause, segment) in layer for layer in self.layers)]

    def channel(self, measure: Measure, monthly_worth: float, *, urgent: bool = False) -> Channel:
        """How to reach a customer: the first of the measure's channels that restraint allows."""
        may_call = urgent or measure.kind is Kind.SERVICE or monthly_worth >= self.limits.phone_from
        return next((one for one in measure.channels if may_call or one is not Channel.PHONE), Channel.NONE)

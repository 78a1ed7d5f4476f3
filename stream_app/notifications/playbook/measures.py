"""Measures against causes of churn: the values of a playbook."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, Field, model_validator

from stream_app.config.fields import ContradictionError, Section
from stream_app.core.causes.catalogue import CAUSES as KNOWN, FAMILY
from stream_app.core.segments.segments import COMPLAINING, SEGMENTS

# A family of causes is reported if the events do not distinguish its causes, so it needs a measure too.
CAUSES: Final = (*KNOWN, FAMILY)
COMPLAINS: Final = SEGMENTS[COMPLAINING]
MAX_TEXT: Final = 200  # maximum characters, since steps are read on a phone
MAX_STEPS: Final = 6
DEFAULT: Final = "default"  # used in place of a segment: applies to all customers


class Kind(enum.Enum):
    """Kind of a measure, which determines the limits that apply."""

    SERVICE = "service"  # fixes a problem: always allowed
    CARE = "care"  # a contact without an offer
    PROMOTION = "promotion"  # a contact with an offer
    REST = "rest"  # no contact


class Channel(enum.Enum):
    """Channel to a customer."""

    PHONE = "phone"
    CHAT = "chat"
    SMS = "sms"
    EMAIL = "email"
    APP = "app"
    NONE = "none"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise ContradictionError((), "is empty", "Write a text, or remove the entry.")
    return line


Line = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_one_line)]


class Text(Section):
    """A text in both languages."""

    en: Line
    zh: Line

    def text(self, language: str) -> str:
        """Return the text in the given language.

        >>> Text(en="Call", zh="致电").text("zh")
        '致电'
        """
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Measure:
    """What to do about a cause of churn.

    Attributes:
        kind: kind of the measure.
        steps: steps in order.
        channels: channels to the customer, best first. The limits may rule out a call.
        never: actions that would make it worse.
    """

    kind: Kind
    steps: tuple[Text, ...]
    channels: tuple[Channel, ...]
    never: tuple[Text, ...] = ()


class Part(Section):
    """An entry of a playbook. If a field is None, the next broader entry provides it."""

    kind: Kind | None = None
    steps: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_STEPS)] | None = None
    channels: tuple[Channel, ...] | None = None
    never: Annotated[tuple[Text, ...], Field(max_length=MAX_STEPS)] | None = None


_EMPTY: Final = Part()
_T = TypeVar("_T")


class Limits(Section):
    """Limits for all causes.

    Attributes:
        phone_from: minimum monthly revenue, in the shop's currency, for calling a customer. Service calls are always
            allowed.
    """

    phone_from: Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)] = 200.0

    @model_validator(mode="before")
    @classmethod
    def _of_the_playbook(cls, values: Any) -> Any:
        if isinstance(values, dict) and "contacts_a_week" in values:
            remedy = "Set contacts.per_week in the policy file instead; docs/how-to/policy.md explains it."
            raise ContradictionError(("contacts_a_week",), "is now a rule of the contact policy", remedy)
        return values


@dataclass(frozen=True)
class Playbook:
    """A shop's measures by cause and segment.

    The shop's own entries for a cause take precedence over the default ones. Within each, a segment's entry takes
    precedence over the entry for all customers. If a customer is in several segments, the first one with an entry
    is used. Texts for `complaining`, which is a state rather than a type of customer, are placed before the others.
    """

    limits: Limits = Limits()  # noqa: RUF009 - immutable
    never: tuple[Text, ...] = ()  # warnings that apply to every measure
    layers: tuple[dict[tuple[str, str], Part], ...] = ()  # by cause and segment, the shop's own layer first

    def measure(self, cause: str, *segments: str) -> Measure:
        """Return the measure for a cause and a customer's segments. Raise KeyError if the cause is unknown.

        For an unknown segment, the default entry is used.
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
        """Return the field from the first entry that sets it, and whether that entry is specific to a segment."""
        for layer in self.layers:
            for segment in (*segments, DEFAULT):
                value = field_of(layer.get((cause, segment), _EMPTY))
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
        """Return the texts for a complaining customer followed by those of the other segments, or the default texts."""
        first, of_complaint = self._first(cause, complains, field_of)
        then, of_others = self._first(cause, others, field_of)
        if not of_complaint:
            return then or ()
        return tuple(dict.fromkeys((*(first or ()), *((then or ()) if of_others else ()))))

    def overridden(self, cause: str) -> list[str]:
        """Return the segments that have their own entry for a cause, in the order of SEGMENTS."""
        return [segment for segment in SEGMENTS if any((cause, segment) in layer for layer in self.layers)]

    def key(self, cause: str, *segments: str) -> str:
        """Return the name of the measure for a cause and a customer's segments, as the policy's list of stopped ones.

        It is the cause, and the segment if the customer's first segment with an entry makes a difference.
        """
        own = self.overridden(cause)
        segment = next((one for one in sorted(segments, key=lambda one: one != COMPLAINS) if one in own), "")
        return f"{cause}.{segment}" if segment else cause

    def channel(self, measure: Measure, monthly_worth: float, *, urgent: bool = False) -> Channel:
        """Return a measure's first channel that is within the limits."""
        may_call = urgent or measure.kind is Kind.SERVICE or monthly_worth >= self.limits.phone_from
        return next((one for one in measure.channels if may_call or one is not Channel.PHONE), Channel.NONE)

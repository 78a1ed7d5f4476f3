"""Reader of the policy file: who may be contacted, when and how often. Errors state file, line, field and remedy."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Self

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stream_app.config.fields import ContradictionError, Section, ShopSpan
from stream_app.config.yaml_model import Sections, problem_at, read_model
from stream_app.config.yaml_nodes import Lines, YamlProblemError
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.policy.contact_hours import contact_minutes
from stream_app.core.policy.policy import CHANNELS, MAX_PER_WEEK, PHONE, Policy, Quota
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import MAX_COPIES, is_possible
from stream_app.errors import BadPolicy

_SEE: Final = "See docs/how-to/policy.md."
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_MAX_ENTRIES: Final = 1_000
_CAUSES: Final = (*CAUSES, FAMILY)


def _quota(value: object) -> object:
    """Convert a percentage to a share. A number is a number of calls."""
    if isinstance(value, str):
        return _share(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContradictionError((), "is neither a number of calls nor a share", "Write 12, or 40%.")
    return value


def _share(value: object) -> float:
    """Convert a percentage, or a number from 0 to 1."""
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if isinstance(value, bool) or not 0.0 <= share <= 1.0:
        raise ContradictionError((), "is not a share", "Write 40% or 0.4.")
    return share


def _hours(text: str) -> str:
    if text and (not _HOURS.fullmatch(text) or text[:5] == text[6:]):
        raise ContradictionError((), f"is {text!r:.60}", 'Write it in quotes, as "21:00-09:00".')
    return text


def _known(key: str, known: tuple[str, ...], what: str) -> str:
    if key not in known:
        raise ContradictionError((), f"is not a {what}", f"Use one of: {', '.join(known)}.")
    return key


def _cause(key: str) -> str:
    return _known(key, _CAUSES, "cause")


def _channel(key: str) -> str:
    return _known(key, CHANNELS, "channel")


def _measure(key: str) -> str:
    cause, dot, segment = key.partition(".")
    _cause(cause)
    if dot:
        _known(segment, SEGMENTS, "segment")
    return key


def _holdout_share(share: float) -> float:
    return share and _later_share(share, also=", or 0 for no experiment")


def _later_share(share: float, *, also: str = "") -> float:
    if not is_possible(share):
        remedy = f"Use a share from {1.0 / MAX_COPIES:.2f} to less than 1{also}."
        raise ContradictionError((), "is too small or too large", remedy)
    return share


_Quota = Annotated[Quota, BeforeValidator(_quota)]
_Share = Annotated[float, BeforeValidator(_share)]
_Hours = Annotated[str, AfterValidator(_hours)]
_Span = Annotated[ShopSpan, Field(ge=0)]
_Factor = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Calls = Annotated[int, Field(ge=0, le=1_000_000)]
_Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
_Currency = Annotated[str, Field(max_length=16)]


class CapacitySection(Section):
    """See `policy.Capacity`."""

    per_day: Annotated[_Calls, Field(ge=1)] | None = None
    reserve: _Calls = 0
    one_time: _Quota | None = None
    repeat: _Quota | None = None

    @model_validator(mode="after")
    def _leaves_calls(self) -> Self:
        if self.per_day is not None and self.reserve >= self.per_day:
            raise ContradictionError(("reserve",), "leaves no calls of per_day", "Use a smaller reserve.")
        return self


class CasesSection(Section):
    """See `policy.Cases`."""

    expire_after: Annotated[ShopSpan, Field(ge=1)] | None = None
    cooldown: _Span | None = None


class ContactsSection(Section):
    """See `policy.Contacts`."""

    per_week: Annotated[int, Field(ge=1, le=MAX_PER_WEEK)] = 1
    count_shop_messages: bool = False
    rest_after_opt_out: _Span = 90 * DAY_US
    quiet_hours: _Hours = ""
    working_hours: _Hours = ""

    @model_validator(mode="after")
    def _some_hours_left(self) -> Self:
        if not contact_minutes(self.working_hours, self.quiet_hours):
            raise ContradictionError(("quiet_hours",), "cover all working_hours", "Leave time for calls.")
        return self


class SilenceSection(Section):
    """See `policy.SilenceChance`."""

    until: Annotated[ShopSpan, Field(ge=1)]
    times: _Factor


class BenefitSection(Section):
    """See `policy.Benefit`."""

    cost: _Money = 0.0
    months: Annotated[float, Field(gt=0, le=1_200, allow_inf_nan=False)] = 12.0
    chance: _Share = 0.1
    again: _Factor = 0.1
    by_silence: Annotated[tuple[SilenceSection, ...], Field(max_length=100)] = ()
    by_cause: Annotated[dict[Annotated[str, AfterValidator(_cause)], _Factor], Field(default_factory=dict)]
    by_channel: Annotated[dict[Annotated[str, AfterValidator(_channel)], _Factor], Field(default_factory=dict)]
    channel: Annotated[str, AfterValidator(_channel)] = PHONE
    stopped: Annotated[tuple[Annotated[str, AfterValidator(_measure)], ...], Field(max_length=_MAX_ENTRIES)] = ()

    @model_validator(mode="after")
    def _silences_rise(self) -> Self:
        ends = [step.until for step in self.by_silence]
        for place, (one, following) in enumerate(pairwise(ends), start=1):
            if following <= one:
                raise ContradictionError(("by_silence", str(place), "until"), "is not longer", "Sort by silence.")
        return self


class CurrencySection(Section):
    """See `policy.Currency`."""

    base: _Currency = ""
    rates: Annotated[dict[_Currency, _Rate], Field(default_factory=dict, max_length=_MAX_ENTRIES)]


class CampaignSection(Section):
    """See `campaign.Campaign`."""

    name: str
    first_day: date
    last_day: date
    lull_days: Annotated[int, Field(ge=0, le=366)] = 7

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.last_day < self.first_day:
            raise ContradictionError(("last_day",), "is before first_day", "Use a later day.")
        return self


class HoldoutSection(Section):
    """See `holdout.Holdout`."""

    share: Annotated[_Share, AfterValidator(_holdout_share)] = 0.0
    experiment: Annotated[str, Field(min_length=1, max_length=100)] = "calls"
    window: _Span = 0
    planned: Annotated[int, Field(ge=1)] = 2_000
    ends: bool = False
    exempt_worth_above: _Money = 0.0
    later_share: Annotated[_Share, AfterValidator(_later_share)] = 0.2


class PolicyFile(Section):
    """A policy file. Everything in it is optional."""

    capacity: CapacitySection = CapacitySection()
    cases: CasesSection = CasesSection()
    contacts: ContactsSection = ContactsSection()
    benefit: BenefitSection = BenefitSection.model_validate({})
    currency: CurrencySection = CurrencySection.model_validate({})
    campaigns: Annotated[tuple[CampaignSection, ...], Field(max_length=_MAX_ENTRIES)] = ()
    holdout: HoldoutSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_content(cls, values: Any) -> Any:
        if values is None:
            raise ContradictionError((), "is empty", "`stream-app policy init` writes an example.")
        if not isinstance(values, dict):
            return values
        # A section whose values are all commented out is as good as none.
        return {name: one for name, one in values.items() if one is not None or name not in cls.model_fields}


_SECTIONS: Final[Sections] = {
    ("capacity", 2): CapacitySection,
    ("cases", 2): CasesSection,
    ("contacts", 2): ContactsSection,
    ("benefit", 2): BenefitSection,
    ("benefit", 4): SilenceSection,
    ("currency", 2): CurrencySection,
    ("campaigns", 3): CampaignSection,
    ("holdout", 2): HoldoutSection,
}


def example_policy(lang: str) -> str:
    """Return the text of a commented policy file that contains the defaults, in a language (en or zh)."""
    return (files(__package__) / f"policy.{lang}.yaml").read_text(encoding="utf-8")


def load_policy(path: Path) -> Policy:
    """Return the policy in a file. Raises BadPolicy, which states the file, line and field."""
    try:
        file, lines = read_model(path, PolicyFile, _SECTIONS, _SEE)
        _check_currency(file.currency, lines)
    except YamlProblemError as error:
        raise BadPolicy(
            file=path, line=error.line, field=error.field or "the file", problem=error.problem, remedy=error.remedy
        ) from error
    return msgspec.convert(file.model_dump(), Policy)


def _check_currency(currency: CurrencySection, lines: Lines) -> None:
    if currency.base in currency.rates:
        place = ("currency", "rates", currency.base)
        raise problem_at(place, "is the shop's own currency", "Remove it.", lines)

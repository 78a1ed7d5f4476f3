"""Policy for contacts with customers: capacity, cases, limits, costs and campaigns.

A policy contains rules only. What is known of a customer, such as an opt-out, is part of the customer's state. The
rules apply to planned calls (`rank_by` worth or reach). The capacity, the time after which alerts expire, campaigns and
currency rates apply to all alerts.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np

from stream_app.core.arrays import Bools, Floats
from stream_app.core.policy.campaign import Campaign
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import Holdout

PHONE: Final = "phone"
CHANNELS: Final = (PHONE, "chat", "sms", "email", "app")
MAX_PER_WEEK: Final = 7  # also bounds the number of contacts that are stored per customer
_VERSION_DIGITS: Final = 10

Quota = int | float  # an int is a number of calls per day, a float a share of them


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The staff's calls per working day.

    Attributes:
        per_day: number of calls; None: the setting `capacity`.
        reserve: calls of these that are kept free for complaints.
        one_time: limit of planned calls to customers with one order; None: no limit.
        repeat: limit of planned calls to customers with several orders; None: no limit.
    """

    per_day: int | None = None
    reserve: int = 0
    one_time: Quota | None = None
    repeat: Quota | None = None


class Cases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cases: alerts, and complaints past their service target.

    Attributes:
        expire_after: an alert ends after this time, microseconds; None: the setting `alert_lifetime`.
        cooldown: no planned call for this time after a case ended, microseconds; None: a sixth of `lost_after`.
    """

    expire_after: int | None = None
    cooldown: int | None = None


class Contacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of contacts with one customer.

    Attributes:
        per_week: maximum number of our contacts within seven days.
        rest_after_opt_out: no planned call for this time after a customer unsubscribed, microseconds.
        quiet_hours: hours in which customers do not want to be called, such as 21:00-09:00; empty: none.
        working_hours: hours in which staff make calls, such as 09:00-18:00; empty: all.
        count_shop_messages: whether messages of the shop's own tools count towards `per_week`, too.
    """

    per_week: int = 1
    rest_after_opt_out: int = 90 * DAY_US
    quiet_hours: str = ""
    working_hours: str = ""
    count_shop_messages: bool = False


class SilenceChance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the chance to help changes with silence.

    Attributes:
        until: for silences up to this time, microseconds.
        times: factor of the chance.
    """

    until: int
    times: float


class Benefit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call costs and may bring. A call whose expected benefit is below its cost is not made.

    Attributes:
        cost: of a call, in the shop's currency.
        months: months of spending that a saved customer is worth.
        chance: probability that a call keeps a customer who would be lost otherwise.
        again: factor of the chance for customers who had a planned call since their last order.
        by_silence: factors of the chance, by rising silence; 1 for longer silences.
        by_cause: factors of the chance, by cause; 1 for other causes.
        by_channel: factors of the chance, by channel; 1 for other channels.
        channel: channel of the staff's contacts.
        stopped: measures that harm, as `cause` or `cause.segment`. Customers who would get one of them are not called.
    """

    cost: float = 0.0
    months: float = 12.0
    chance: float = 0.1
    again: float = 0.1
    by_silence: tuple[SilenceChance, ...] = ()
    by_cause: dict[str, float] = {}
    by_channel: dict[str, float] = {}
    channel: str = PHONE
    stopped: tuple[str, ...] = ()

    @property
    def needs_causes(self) -> bool:
        """Whether a customer's causes must be known to decide on a call."""
        return bool(self.by_cause or self.stopped)

    @property
    def limits_calls(self) -> bool:
        """Whether calls depend on more than P(lost), the worth and repetition."""
        return bool(self.cost or self.by_silence or self.needs_causes)

    def factors(self, silent_days: Floats) -> Floats:
        """Return the factors of the chance to help of calls after silences, whatever their cause.

        >>> Benefit(by_silence=(SilenceChance(60 * DAY_US, 1.5),)).factors(np.array([60.0, 90.0])).tolist()
        [1.5, 1.0]
        """
        factors = np.array([*(step.times for step in self.by_silence), 1.0])
        ends = np.array([step.until / DAY_US for step in self.by_silence])
        place = np.searchsorted(ends, silent_days, side="left")
        return factors[place] * self.by_channel.get(self.channel, 1.0)

    def pays(self, value: Floats, factors: Floats) -> Bools:
        """Return whether calls are expected to bring at least their cost.

        Args:
            value: P(lost) × monthly worth of each customer.
            factors: of the chance to help.
        """
        return value * self.months * np.minimum(self.chance * factors, 1.0) >= self.cost


class Currency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fixed rates by which amounts of orders are converted.

    Attributes:
        base: the shop's currency; empty: not stated.
        rates: what one unit of another currency is worth in the shop's.
    """

    base: str = ""
    rates: dict[str, float] = {}


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The policy of a shop. The defaults limit repetition only."""

    capacity: Capacity = Capacity()
    cases: Cases = Cases()
    contacts: Contacts = Contacts()
    benefit: Benefit = Benefit()
    currency: Currency = Currency()
    campaigns: tuple[Campaign, ...] = ()
    holdout: Holdout | None = None  # None: the setting `holdout`

    @cached_property
    def version(self) -> str:
        """Short hash of the content. Comments and the order of keys in the file do not change it.

        >>> Policy().version == Policy(capacity=Capacity()).version != Policy(capacity=Capacity(reserve=1)).version
        True
        """
        content = msgspec.json.encode(_given(self), order="sorted")
        return hashlib.sha256(content).hexdigest()[:_VERSION_DIGITS]


def _given(rules: Any) -> Any:
    """Return the rules that differ from their defaults, so that a release with more rules computes the same version."""
    if isinstance(rules, msgspec.Struct):
        fields = ((one, getattr(rules, one.name)) for one in msgspec.structs.fields(rules))
        return {one.name: _given(value) for one, value in fields if one.required or value != _default(one)}
    return [_given(one) for one in rules] if isinstance(rules, tuple) else rules


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default

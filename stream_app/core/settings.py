"""Shop settings: horizons, definition of an order, calendar and staff. Durations are in microseconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from stream_app.core.causes.catalogue import ONE_TIME, REPEAT, problem_of
from stream_app.core.expert_spec import DEFAULT, ExpertSpec, check_list
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.contact_hours import contact_hours
from stream_app.core.policy.policy import Policy
from stream_app.core.state.vector import MAX_LATENESS_DAYS
from stream_app.core.units import DAY_US, EPOCH, SECOND_US, from_micros, micros
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import ContradictorySettings

WORKING_DAYS: Final = (0, 1, 2, 3, 4)  # Monday is 0
MAX_WAITING: Final = 10_000  # limit of unlabelled decisions per customer, which are stored in the customer's state


def refuse(name: str, problem: str, remedy: str) -> NoReturn:
    """Raise ContradictorySettings for a setting."""
    raise ContradictorySettings(name=name, problem=problem, remedy=remedy)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The settings of one shop.

    Raises:
        ContradictorySettings: a value is out of range or contradicts another one.
    """

    horizon: int = 60 * DAY_US  # a customer who does not order within it has churned
    active_window: int = 180 * DAY_US  # decisions are made on customers who ordered within it
    decide_every: int = 7 * DAY_US
    lateness: int = DAY_US  # how far an event may be behind stream time and still be processed in full
    lost_after: int = 0  # a customer without an order for this long is lost; 0: use the active window
    order_action: str = "paid"  # the step that counts as an order: placed or paid
    excluded: frozenset[str] = frozenset()  # ids of fake, staff and test buyers
    campaigns: tuple[Campaign, ...] = ()
    zone: str = "UTC"
    working_days: tuple[int, ...] = WORKING_DAYS
    nomination_hour: int = 9
    capacity: int = 30  # new alerts per working day
    alert_lifetime: int = 14 * DAY_US  # alerts expire after this time
    agreement: int = DAY_US  # two scores at least this far apart must agree before an alert opens
    alert_above: float = 0.5  # both scores must exceed this probability
    # worth, reach: a plan of calls by revenue or people that they reach in time; risk: the highest churn probabilities
    rank_by: str = "worth"
    margin: float = 1.0  # share of revenue that is profit; applies to the expected value
    act_before: int = 0  # how long before a customer would be lost a call must come; 0: a quarter of lost_after
    fallen_odds: float = 0.5  # an alert closes when the odds fall below this share of the odds at which it opened
    answer_within: int = DAY_US  # an unanswered complaint older than this opens an urgent alert; 0: never
    solve_within: int = 3 * DAY_US  # an unsolved complaint older than this does the same; 0: never
    # Share of each cause among lost one-time buyers, and among lost repeat buyers.
    one_time_priors: dict[str, float] = msgspec.field(default_factory=ONE_TIME.copy)
    repeat_priors: dict[str, float] = msgspec.field(default_factory=REPEAT.copy)
    learn_causes: bool = True  # whether causes that staff confirm change the priors and the evidence rules
    blind_share: float = 0.1  # share of alerts that do not show their causes
    holdout: Holdout = Holdout()
    seed: int = 1
    experts: tuple[ExpertSpec, ...] = DEFAULT  # of the churn model; `model.experts` in the settings
    policy: Policy = Policy()  # who may be contacted, when and how often; see `with_policy`

    def __post_init__(self) -> None:
        """Raise ContradictorySettings for values that are out of range or contradict each other."""
        for name in ("horizon", "active_window", "decide_every", "capacity", "alert_lifetime", "fallen_odds"):
            if getattr(self, name) <= 0:
                refuse(name, "is not greater than zero", "Use a positive number.")
        for name in ("lost_after", "act_before", "agreement", "answer_within", "solve_within"):
            if getattr(self, name) < 0:
                refuse(name, "is negative", "Use 0 or more.")
        self._check_times()
        self._check_choices()
        self._check_calendar()
        check_list(self.experts)

    def _check_times(self) -> None:
        if self.decide_every > self.horizon:
            refuse("decide_every", "is longer than the horizon", "Decide at least once per horizon.")
        if self.decide_every % SECOND_US:  # decision times are stored in seconds
            refuse("decide_every", "is not a whole number of seconds", "Use whole seconds.")
        if (self.horizon + self.lateness) // self.decide_every >= MAX_WAITING:
            refuse(
                "decide_every",
                f"leaves {MAX_WAITING:,} or more decisions per customer unlabelled",
                "Decide less often.",
            )
        if not 0 <= self.lateness <= MAX_LATENESS_DAYS * DAY_US:
            refuse("lateness", "is out of range", f"Use a value between 0 and {MAX_LATENESS_DAYS} days.")

    def _check_choices(self) -> None:
        if self.order_action not in ("placed", "paid"):
            refuse("order_action", f"is {self.order_action!r}", "Use placed or paid.")
        if not 0.0 <= self.alert_above < 1.0:
            refuse("alert_above", "is not a probability below 1", "Use a value from 0 to less than 1.")
        if not 0.0 < self.margin <= 1.0:
            refuse("margin", "is not a share above 0", "Use a value above 0, and at most 1.")
        if self.rank_by not in ("risk", "worth", "reach"):
            refuse("rank_by", f"is {self.rank_by!r}", "Use risk, worth or reach.")
        if self.act_before >= self.lost_after_or_default:
            refuse("act_before", "is not shorter than lost_after", "Use, for example, a quarter of lost_after.")
        self._check_policy()
        self._check_causes()

    def _check_causes(self) -> None:
        if not 0.0 <= self.blind_share <= 1.0:
            refuse("blind_share", "is not a share", "Use a value from 0 to 1.")
        for name in ("one_time_priors", "repeat_priors"):
            if problem := problem_of(getattr(self, name)):
                refuse(name, problem, "Use causes from docs/reference/causes.md, with shares that sum to 1.")

    def _check_policy(self) -> None:
        if self.policy.capacity.reserve >= self.capacity:
            refuse("capacity", "leaves no calls beside the policy's reserve", "Use more calls, or a smaller reserve.")
        if self.holdout.share and not self.plans_calls:
            refuse("holdout", "needs planned calls", "Set rank_by to worth or reach.")

    def _check_calendar(self) -> None:
        if not 0 <= self.nomination_hour <= 23:
            refuse("nomination_hour", "is not an hour of the day", "Use a number between 0 and 23.")
        if not self.working_days or not set(self.working_days) <= set(range(7)):
            refuse("working_days", "is empty or contains an invalid day", "Use days from 0 (Monday) to 6 (Sunday).")
        for campaign in self.campaigns:
            if campaign.last_day < campaign.first_day:
                refuse("campaigns", f"contain {campaign.name!r}, which ends before it starts", "Use a later last_day.")
            if campaign.lull_days < 0:
                refuse("campaigns", f"contain {campaign.name!r}, whose lull is negative", "Set lull_days to 0 or more.")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            refuse("zone", f"is unknown: {self.zone!r}", "Use a name such as Asia/Shanghai.")

    @property
    def lost_after_or_default(self) -> int:
        """Time without an order after which a customer is lost, microseconds."""
        return self.lost_after or self.active_window

    @property
    def act_before_or_default(self) -> int:
        """Time before a customer would be lost by which a call must come, microseconds."""
        return self.act_before or self.lost_after_or_default // 4

    @property
    def cooldown(self) -> int:
        """Time after the end of a case in which the customer gets no planned call, microseconds."""
        cooldown = self.policy.cases.cooldown
        return self.lost_after_or_default // 6 if cooldown is None else cooldown

    @property
    def planned_capacity(self) -> int:
        """Number of planned calls per working day: the capacity without the reserve for complaints."""
        return self.capacity - self.policy.capacity.reserve

    @property
    def uplift_window(self) -> int:
        """Time after a draw of the holdout within which an order counts, microseconds."""
        return self.holdout.window or self.horizon

    @property
    def plans_calls(self) -> bool:
        """Whether alerts are planned by the probability that customers are lost, instead of ranked by risk."""
        return self.rank_by != "risk"

    @property
    def one_case_per_complaint(self) -> bool:
        """Whether all missed targets of a complaint belong to one urgent case, instead of a case for each target."""
        return self.plans_calls

    @cached_property
    def contact_rules(self) -> ContactRules | None:
        """What staff must know of the policy, as sent with alerts; None if all of it is as by default."""
        contacts = self.policy.contacts
        hours = contact_hours(contacts.working_hours, contacts.quiet_hours)
        stopped = self.policy.benefit.stopped
        rules = ContactRules(hours, self.zone if hours else "", contacts.per_week, stopped)
        return None if rules == ContactRules() else rules

    @cached_property
    def clock(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.zone)

    def with_policy(self, policy: Policy) -> Settings:
        """Return the settings with a policy. Its capacity, expiry and holdout take precedence, its campaigns are added.

        A policy that was applied before has no effect. Raises ContradictorySettings.
        """
        base = self.without_policy
        given = {
            "capacity": policy.capacity.per_day,
            "alert_lifetime": policy.cases.expire_after,
            "holdout": policy.holdout,
        }
        fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        campaigns = (*base.campaigns, *policy.campaigns)
        found = msgspec.structs.replace(base, policy=policy, campaigns=campaigns, **fields)
        vars(found)["without_policy"] = base
        return found

    def with_experts(self, experts: tuple[ExpertSpec, ...]) -> Settings:
        """Return the settings with other experts and the same policy."""
        base = msgspec.structs.replace(self.without_policy, experts=experts)
        return base if self is self.without_policy else base.with_policy(self.policy)

    @cached_property
    def without_policy(self) -> Settings:
        """The settings to which the policy was applied; they are no part of the stored or shown settings."""
        return self

    def local(self, at: int) -> datetime:
        """Convert an instant to the shop's time zone.

        >>> Settings(zone="Asia/Shanghai").local(0).isoformat()
        '1970-01-01T08:00:00+08:00'
        """
        return from_micros(at).astimezone(self.clock)

    def local_day(self, at: int) -> int:
        """Return an instant's day in the shop's time zone, counted from 1970-01-01.

        >>> from stream_app.core.units import HOUR_US
        >>> Settings(zone="Asia/Shanghai").local_day(20 * HOUR_US)
        1
        """
        return at // DAY_US if self.zone == "UTC" else self.local(at).toordinal() - EPOCH.toordinal()

    def local_midnights(self, at: int) -> tuple[int, int]:
        """Return the shop's midnights at or before an instant and after it, in microseconds.

        >>> from stream_app.core.units import HOUR_US
        >>> [midnight // HOUR_US for midnight in Settings(zone="Asia/Shanghai").local_midnights(0)]
        [-8, 16]
        """
        today = self.local(at).date()
        days = (today, today + timedelta(days=1))
        begin, end = (micros(datetime(day.year, day.month, day.day, tzinfo=self.clock)) for day in days)
        return begin, end

    def opens_alerts(self, at: int) -> bool:
        """Return whether alerts may open at an instant: not during campaigns, when silence does not mean churn."""
        if not self.campaigns:
            return True
        day = self.local(at).date()
        return not any(campaign.covers(day) for campaign in self.campaigns)

    def next_nomination(self, after: int) -> int:
        """Return the first allocation after an instant: the nomination hour on a working day, in the shop's time zone.

        >>> from stream_app.core.units import HOUR_US
        >>> Settings().next_nomination(0) // HOUR_US  # 1970-01-01 was a Thursday
        9
        >>> Settings().next_nomination(33 * HOUR_US) // HOUR_US  # from Friday 09:00 to Monday
        105
        """
        return _next_nomination(after, self.clock, self.nomination_hour, self.working_days)


@lru_cache(maxsize=1 << 10)  # an allocation looks up the next year, of which one day is new
def _next_nomination(after: int, clock: ZoneInfo, hour: int, working_days: tuple[int, ...]) -> int:
    day = from_micros(after).astimezone(clock).date()
    while True:
        at = micros(datetime(day.year, day.month, day.day, hour, tzinfo=clock))
        if at > after and day.weekday() in working_days:
            return at
        day += timedelta(days=1)

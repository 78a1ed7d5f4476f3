"""What a shop decides: horizons, what counts as an order, its calendar, its staff. Times are microseconds."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from stream_app.core.causes.catalogue import ONE_TIME, REPEAT, problem_of
from stream_app.core.state.vector import MAX_LATENESS_DAYS
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND, SECOND_US
from stream_app.errors import ContradictorySettings

WORKING_DAYS: Final = (0, 1, 2, 3, 4)  # Monday is 0
MAX_WAITING: Final = 10_000  # decisions of a customer that wait for their label: they are stored with him


def refuse(name: str, problem: str, remedy: str) -> NoReturn:
    """Raise ContradictorySettings for a setting, in its own words."""
    raise ContradictorySettings(name=name, problem=problem, remedy=remedy)


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sale or a holiday of the shop's calendar, both days included; silence in its lull is not leaving."""

    name: str
    first_day: date
    last_day: date
    lull_days: int = 7  # before first_day, when customers wait for the prices to fall

    def covers(self, day: date) -> bool:
        """Whether a day lies in the campaign or in the lull before it.

        >>> Campaign("双11", date(2025, 11, 1), date(2025, 11, 11)).covers(date(2025, 10, 26))
        True
        """
        return self.first_day - timedelta(days=self.lull_days) <= day <= self.last_day


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The settings of one shop. Contradictions raise ContradictorySettings with the remedy."""

    horizon: int = 60 * DAY_US  # churned: no order within it
    active_window: int = 180 * DAY_US  # who has ordered within it gets decisions
    decide_every: int = 7 * DAY_US
    lateness: int = DAY_US  # how far behind stream time an event may still count in full
    lost_after: int = 0  # the shop's own rule: lost when without an order for so long; 0: the active window
    order_action: str = "paid"  # which step of an order counts as one: placed or paid
    excluded: frozenset[str] = frozenset()  # fake, staff and test buyers
    campaigns: tuple[Campaign, ...] = ()
    zone: str = "UTC"
    working_days: tuple[int, ...] = WORKING_DAYS
    nomination_hour: int = 9
    capacity: int = 30  # new episodes a working day
    alert_lifetime: int = 14 * DAY_US  # an alert that is older must not be acted on
    agreement: int = DAY_US  # two scores at least so far apart must agree before an episode opens
    alert_above: float = 0.5  # both of the scores that agree must lie above it
    rank_by: str = "risk"  # risk: probability of churn; worth: times the money a month that the customer brings
    fallen_odds: float = 0.5  # an episode closes when the odds fall below this share of the odds that opened it
    answer_within: int = DAY_US  # a complaint that has had no answer by then is an urgent alert; 0: never
    solve_within: int = 3 * DAY_US  # the same for one that is not solved; 0: never
    one_time_priors: dict[str, float] = msgspec.field(default_factory=ONE_TIME.copy)  # causes of lost one-time buyers
    repeat_priors: dict[str, float] = msgspec.field(default_factory=REPEAT.copy)  # and of lost repeat buyers
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for name in ("horizon", "active_window", "decide_every", "capacity", "alert_lifetime", "fallen_odds"):
            if getattr(self, name) <= 0:
                refuse(name, "is not greater than zero", "Give a positive number.")
        for name in ("lost_after", "agreement", "answer_within", "solve_within"):
            if getattr(self, name) < 0:
                refuse(name, "is less than nought", "Give 0 or more.")
        self._check_times()
        self._check_choices()
        self._check_calendar()

    def _check_times(self) -> None:
        if self.decide_every > self.horizon:
            refuse("decide_every", "is longer than the horizon", "Decide at least once a horizon.")
        if self.decide_every % SECOND_US:  # moments of decision are stored in seconds
            refuse("decide_every", "is not in whole seconds", "Give whole seconds.")
        if (self.horizon + self.lateness) // self.decide_every >= MAX_WAITING:
            refuse("decide_every", f"lets {MAX_WAITING:,} decisions of a customer wait", "Decide less often.")
        if not 0 <= self.lateness <= MAX_LATENESS_DAYS * DAY_US:
            refuse("lateness", "is out of range", f"Give between 0 and {MAX_LATENESS_DAYS} days.")

    def _check_choices(self) -> None:
        if self.order_action not in ("placed", "paid"):
            refuse("order_action", f"is {self.order_action!r}", "Give placed or paid.")
        if not 0.0 <= self.alert_above < 1.0:
            refuse("alert_above", "is not a probability", "Give 0 or more, and less than 1.")
        if self.rank_by not in ("risk", "worth"):
            refuse("rank_by", f"is {self.rank_by!r}", "Give risk or worth.")
        for name in ("one_time_priors", "repeat_priors"):
            if problem := problem_of(getattr(self, name)):
                refuse(name, problem, "Give shares of the causes in docs/causes.md that sum to 1.")

    def _check_calendar(self) -> None:
        if not 0 <= self.nomination_hour <= 23:
            refuse("nomination_hour", "is not an hour", "Give between 0 and 23.")
        if not self.working_days or not set(self.working_days) <= set(range(7)):
            refuse("working_days", "names no working day", "Give days from 0 (Monday) to 6 (Sunday).")
        for campaign in self.campaigns:
            if campaign.last_day < campaign.first_day:
                refuse("campaigns", f"have {campaign.name!r} end before it begins", "Give its last_day later.")
            if campaign.lull_days < 0:
                refuse("campaigns", f"have {campaign.name!r} with a negative lull", "Give lull_days of 0 or more.")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            refuse("zone", f"is unknown: {self.zone!r}", "Give a name like Asia/Shanghai.")

    @property
    def lost_after_or_default(self) -> int:
        """After how long without an order the shop's own rule calls a customer lost."""
        return self.lost_after or self.active_window

    @cached_property
    def clock(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.zone)

    def local(self, at: int) -> datetime:
        """An instant on the shop's own clock.

        >>> Settings(zone="Asia/Shanghai").local(0).isoformat()
        '1970-01-01T08:00:00+08:00'
        """
        return (EPOCH + at * MICROSECOND).astimezone(self.clock)

    def local_day(self, at: int) -> int:
        """The day of the shop's calendar, counted from 1970-01-01.

        >>> from stream_app.core.units import HOUR_US
        >>> Settings(zone="Asia/Shanghai").local_day(20 * HOUR_US)
        1
        """
        return at // DAY_US if self.zone == "UTC" else self.local(at).toordinal() - EPOCH.toordinal()

    def local_midnights(self, at: int) -> tuple[int, int]:
        """The midnights of the shop's clock around an instant, the first not later than it; microseconds.

        >>> from stream_app.core.units import HOUR_US
        >>> [midnight // HOUR_US for midnight in Settings(zone="Asia/Shanghai").local_midnights(0)]
        [-8, 16]
        """
        today = self.local(at).date()
        days = (today, today + timedelta(days=1))
        begin, end = (
            (datetime(day.year, day.month, day.day, tzinfo=self.clock) - EPOCH) // MICROSECOND for day in days
        )
        return begin, end

    def in_campaign(self, day: date) -> bool:
        """Whether a day of the shop lies in a campaign or its lull."""
        return any(campaign.covers(day) for campaign in self.campaigns)

    def opens_alerts(self, at: int) -> bool:
        """Whether new episodes may be opened at a nomination: not in a campaign, when silence is not leaving."""
        return not self.in_campaign(self.local(at).date())

    def next_nomination(self, after: int) -> int:
        """The first nomination later than an instant: the nomination hour of a working day, on the shop's clock.

        >>> from stream_app.core.units import HOUR_US
        >>> Settings().next_nomination(0) // HOUR_US  # 1970-01-01 was a Thursday
        9
        >>> Settings().next_nomination(33 * HOUR_US) // HOUR_US  # from Friday 09:00 to Monday
        105
        """
        day = self.local(after).date()
        while True:
            moment = datetime(day.year, day.month, day.day, self.nomination_hour, tzinfo=self.clock)
            at = (moment - EPOCH) // MICROSECOND
            if at > after and day.weekday() in self.working_days:
                return at
            day += timedelta(days=1)

"""Settings: contradictions are refused with a reason, and the calendar follows the shop's time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.policy.campaign import Campaign
from stream_app.core.settings import Settings
from stream_app.core.state.vector import MAX_LATENESS_DAYS
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND, SECOND_US
from stream_app.errors import ContradictorySettings
from tests.harness.shops import T0

JAN = date(2024, 1, 1)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"horizon": 0}, "positive"),
        ({"active_window": -1}, "positive"),
        ({"decide_every": 0}, "positive"),
        ({"capacity": 0}, "positive"),
        ({"alert_lifetime": 0}, "positive"),
        ({"decide_every": 61 * DAY_US}, "at least once per horizon"),
        ({"decide_every": 7 * DAY_US + 1}, "whole seconds"),
        ({"decide_every": 500 * SECOND_US}, "less often"),
        ({"lateness": -1}, "between 0 and 7 days"),
        ({"lateness": MAX_LATENESS_DAYS * DAY_US + 1}, "between 0 and 7 days"),
        ({"lost_after": -1}, "0 or more"),
        ({"agreement": -1}, "0 or more"),
        ({"fallen_odds": 0.0}, "positive"),
        ({"order_action": "shipped"}, "placed or paid"),
        ({"rank_by": "mood"}, "risk, worth or reach"),
        ({"act_before": -1}, "0 or more"),
        ({"act_before": 180 * DAY_US, "lost_after": 180 * DAY_US}, "a quarter of lost_after"),
        ({"nomination_hour": 24}, "between 0 and 23"),
        ({"nomination_hour": -1}, "between 0 and 23"),
        ({"working_days": ()}, "0 (Monday) to 6"),
        ({"working_days": (7,)}, "0 (Monday) to 6"),
        ({"zone": "Mars/Olympus"}, "Asia/Shanghai"),
        ({"zone": "../etc/passwd"}, "Asia/Shanghai"),
        ({"campaigns": (Campaign("x", JAN, JAN - timedelta(days=1)),)}, "end"),
        ({"campaigns": (Campaign("x", JAN, JAN, lull_days=-1),)}, "0 or more"),
    ],
    ids=str,
)
def test_a_contradiction_is_refused_by_name_and_with_a_remedy(wrong: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ContradictorySettings) as refused:
        Settings(**wrong)
    assert next(iter(wrong)) in str(refused.value)
    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    "right",
    [
        {"decide_every": 60 * DAY_US},
        {"decide_every": 600 * SECOND_US},
        {"lateness": 0},
        {"lateness": MAX_LATENESS_DAYS * DAY_US},
        {"nomination_hour": 0},
        {"nomination_hour": 23},
        {"working_days": (6,)},
        {"agreement": 0},
        {"campaigns": (Campaign("x", JAN, JAN, lull_days=0),)},
    ],
    ids=str,
)
def test_what_lies_at_the_edge_is_allowed(right: dict[str, Any]) -> None:
    assert msgspec.structs.replace(Settings(), **right) == Settings(**right)


def test_a_name_that_is_no_setting_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="horizont"):
        msgspec.convert({"horizont": 1}, Settings)


def test_the_shops_own_rule_defaults_to_the_active_window() -> None:
    assert Settings(active_window=9).lost_after_or_default == 9
    assert Settings(active_window=9, lost_after=5).lost_after_or_default == 5


@given(
    st.integers(T0, T0 + 800 * DAY_US),
    st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 23),
    st.lists(st.integers(0, 6), min_size=1, unique=True),
)
def test_the_next_nomination_is_the_hour_of_the_next_working_day(
    after: int, zone: str, hour: int, days: list[int]
) -> None:
    settings = Settings(zone=zone, nomination_hour=hour, working_days=tuple(days))
    found = settings.next_nomination(after)
    assert after < found <= after + 8 * DAY_US
    local = settings.local(found)
    assert local.weekday() in days
    gap = local.replace(hour=hour, minute=0, second=0, tzinfo=None)
    real = datetime(local.year, local.month, local.day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert micros(real) == found
    if real.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == gap:  # not an hour that the clocks leave out
        assert (local.hour, local.minute) == (hour, 0)
    # None lies between: whatever earlier day there is, its hour is not later than `after`, or it is no working day.
    for back in range(1, 8):
        day = local.date() - timedelta(days=back)
        moment = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone))
        assert day.weekday() not in days or micros(moment.astimezone(UTC)) <= after


def test_nominations_keep_to_the_clock_on_the_wall_when_the_clocks_change() -> None:
    berlin = Settings(zone="Europe/Berlin", working_days=tuple(range(7)))
    friday = micros(datetime(2024, 3, 29, 9, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC))
    saturday, sunday = berlin.next_nomination(friday), 0
    sunday = berlin.next_nomination(saturday)
    assert (saturday - friday, sunday - saturday) == (24 * HOUR_US, 23 * HOUR_US)


def test_days_are_those_of_the_shop() -> None:
    evening = micros(datetime(2024, 3, 1, 20, tzinfo=UTC))
    days = {zone: Settings(zone=zone).local_day(evening) for zone in ("UTC", "Asia/Shanghai", "America/Los_Angeles")}
    assert days["UTC"] == evening // DAY_US == days["America/Los_Angeles"]
    assert days["Asia/Shanghai"] == days["UTC"] + 1


@pytest.mark.parametrize(
    ("day", "covered"),
    [(date(2025, 10, 24), False), (date(2025, 10, 25), True), (date(2025, 11, 11), True), (date(2025, 11, 12), False)],
)
def test_a_campaign_has_a_lull_before_it_and_none_after(day: date, covered: bool) -> None:
    settings = Settings(campaigns=(Campaign("双11", date(2025, 11, 1), date(2025, 11, 11)),))
    morning = micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    assert settings.opens_alerts(morning) is not covered
    everyday = msgspec.structs.replace(settings, working_days=tuple(range(7)))
    assert everyday.local(everyday.next_nomination(morning)).date() == day  # episodes end in a campaign too


def test_a_call_must_come_a_quarter_of_the_time_before_the_customer_is_lost() -> None:
    assert Settings(lost_after=180 * DAY_US).act_before_or_default == 45 * DAY_US
    assert Settings(lost_after=180 * DAY_US, act_before=DAY_US).act_before_or_default == DAY_US
    assert [Settings(rank_by=one).plans_calls for one in ("risk", "worth", "reach")] == [False, True, True]

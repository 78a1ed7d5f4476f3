"""Contact hours are the working hours without the quiet hours, as periods."""

from __future__ import annotations

import msgspec
from hypothesis import given, strategies as st

from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.policy.contact_hours import contact_hours, contact_minutes, minutes_of
from stream_app.core.policy.policy import Benefit, Contacts, Policy
from stream_app.core.settings import Settings

TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
HOURS = st.just("") | st.tuples(TIMES, TIMES).filter(lambda two: two[0] != two[1]).map("-".join)


@given(HOURS, HOURS)
def test_the_periods_contain_the_minutes_of_work_that_are_not_quiet(working: str, quiet: str) -> None:
    periods = contact_hours(working, quiet)
    minutes = [minutes_of(one) for one in periods]
    found = set().union(*minutes)
    assert sum(map(len, minutes)) == len(found), "periods overlap"
    if working or quiet:
        assert found == contact_minutes(working, quiet)
    else:
        assert not periods
    sent = ContactRules(periods, "Asia/Shanghai")
    assert msgspec.json.decode(msgspec.json.encode(sent), type=ContactRules) == sent  # within the limits of the schema


def test_alerts_carry_the_hours_in_the_shops_time_zone() -> None:
    shop = Settings(zone="Asia/Shanghai")
    assert shop.contact_rules is None
    policy = Policy(contacts=Contacts(quiet_hours="21:00-10:00", working_hours="09:00-18:00"))
    assert shop.with_policy(policy).contact_rules == ContactRules(("10:00-18:00",), "Asia/Shanghai")


def test_alerts_carry_the_weekly_limit_and_stopped_measures_only_if_they_differ_from_the_defaults() -> None:
    policy = Policy(contacts=Contacts(per_week=3), benefit=Benefit(stopped=("price.vip",)))
    assert Settings().with_policy(policy).contact_rules == ContactRules(per_week=3, stopped=("price.vip",))
    assert Settings().with_policy(Policy(contacts=Contacts(rest_after_opt_out=1))).contact_rules is None

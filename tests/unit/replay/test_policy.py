"""A replay keeps the policy: in a simulated year, nobody is called in the cooldown, too often, or after opting out."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from math import isnan
from pathlib import Path

import pytest

from stream_app.core.alerts.contact_history import CONTACT_LIMIT, COOLDOWN, OPT_OUT, WEEK_US
from stream_app.core.alerts.lifecycle import EXPIRED, QUOTA
from stream_app.core.events.enumerations import ComplaintForm
from stream_app.core.events.schema import Complaint, Event
from stream_app.core.partition.call_rules import BELOW_COST, CAMPAIGN, STOPPED
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.policy import Benefit, Capacity, Cases, Contacts, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.ingest import LogFormat
from stream_app.replay.request import Request
from stream_app.replay.runner import Outcome, Replay
from stream_app.replay.session import shown_settings
from stream_app.simulate import ShopSettings
from stream_app.simulate.log import simulate

SHOP = Settings(
    horizon=30 * DAY_US,
    active_window=120 * DAY_US,
    lost_after=90 * DAY_US,
    act_before=10 * DAY_US,
    capacity=3,
    rank_by="worth",
)
DEFAULT = Policy()
NO_LIMITS = Policy(cases=Cases(cooldown=0), contacts=Contacts(per_week=7, rest_after_opt_out=0))
QUOTAS = Policy(capacity=Capacity(reserve=1, one_time=0.5))
STRICT = Policy(cases=Cases(cooldown=0), contacts=Contacts(per_week=1))


@cache
def year() -> list[list[Event]]:
    return list(simulate(ShopSettings(customers=150, days=365), seed=3))


_outcomes: dict[tuple[str, int], Outcome] = {}


def replayed(policy: Policy = DEFAULT, partitions: int = 1) -> Outcome:
    key = (policy.version, partitions)
    if key not in _outcomes:
        _outcomes[key] = Replay(SHOP.with_policy(policy), partitions).run(year())
    return _outcomes[key]


def calls(outcome: Outcome) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for alert in outcome.opened:
        found[alert.customer].append(alert.opened_at)
    return found


def contacts(outcome: Outcome) -> dict[str, list[int]]:
    """Calls and urgent alerts."""
    found = calls(outcome)
    for breach in outcome.breaches:
        found[breach.candidate.customer].append(breach.candidate.at)
    return found


def too_soon(outcome: Outcome, cooldown: int) -> int:
    """Calls within a cooldown after a case of the customer ended."""
    ends: dict[str, list[int]] = defaultdict(list)
    for closing in outcome.closed:
        ends[closing.alert.customer].append(closing.at)
    for ended in outcome.ended:
        ends[ended.customer].append(ended.at)
    return sum(
        any(end <= at < end + cooldown for end in ends[name]) for name, made in calls(outcome).items() for at in made
    )


def beyond(outcome: Outcome, per_week: int) -> int:
    """Calls to customers who had as many contacts as allowed in the seven days before."""
    every = contacts(outcome)
    return sum(
        sum(at - WEEK_US < one < at for one in every[name]) >= per_week
        for name, made in calls(outcome).items()
        for at in made
    )


def opted_out() -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for event in (event for batch in year() for event in batch):
        if isinstance(event, Complaint) and event.form is ComplaintForm.UNSUBSCRIBE:
            found[event.customer_id].append(event.at)
    return found


def to_opted_out(outcome: Outcome, rest: int) -> int:
    gone = opted_out()
    return sum(
        any(out <= at < out + rest for out in gone.get(name, ()))
        for name, made in calls(outcome).items()
        for at in made
    )


def test_nobody_is_called_within_the_cooldown_of_a_handled_case() -> None:
    cooldown = SHOP.cooldown
    assert cooldown == 15 * DAY_US
    assert too_soon(replayed(NO_LIMITS), cooldown) > 5  # otherwise the test would show nothing
    outcome = replayed()
    assert len(outcome.opened) > 50
    assert too_soon(outcome, cooldown) == 0
    assert outcome.suppressed[COOLDOWN] > 0


def test_nobody_is_called_beyond_the_limit_of_a_week() -> None:
    assert beyond(replayed(NO_LIMITS), 1) > 0
    assert beyond(replayed(STRICT), 1) == 0
    assert beyond(replayed(), 1) == 0
    assert replayed(STRICT).suppressed[CONTACT_LIMIT] > 0


def test_nobody_is_called_for_a_while_after_they_unsubscribed() -> None:
    rest = Policy().contacts.rest_after_opt_out
    assert to_opted_out(replayed(NO_LIMITS), rest) > 0
    assert to_opted_out(replayed(), rest) == 0
    assert replayed().suppressed[OPT_OUT] > 0


def test_an_alert_that_has_expired_ends_and_blocks_no_other() -> None:
    outcome = replayed(NO_LIMITS)
    expired = {one.alert.customer: one for one in outcome.closed if one.reason == EXPIRED}
    assert expired
    for one in expired.values():
        assert one.at == SHOP.next_nomination(one.alert.expires_at - 1)
    again = [alert for alert in outcome.opened if alert.customer in expired]
    assert any(alert.opened_at >= expired[alert.customer].at for alert in again)


def test_whether_a_call_pays_depends_on_its_cost_and_the_list_may_be_short() -> None:
    worth = sorted(one.candidate.lost_probability * one.candidate.monthly_worth for one in replayed().opened)
    benefit = Benefit(cost=worth[len(worth) // 2] * 12 * 0.1)
    outcome = replayed(Policy(benefit=benefit))
    assert 0 < len(outcome.opened) < len(replayed().opened)
    for one in outcome.opened:
        assert one.candidate.lost_probability * one.candidate.monthly_worth * 12 * 0.1 >= benefit.cost
    assert outcome.suppressed[BELOW_COST] > 0


def test_customers_who_would_get_a_measure_that_harms_are_not_called() -> None:
    stopped = "forgot_shop"
    assert any(one.likeliest_cause == stopped for one in replayed().opened)
    outcome = replayed(Policy(benefit=Benefit(stopped=(stopped,))))
    assert outcome.opened
    assert not any(one.likeliest_cause == stopped for one in outcome.opened)
    assert outcome.suppressed[STOPPED] > 0


def test_a_stop_for_a_segment_holds_for_all_customers_in_it() -> None:
    found = [one.candidate.explanation for one in replayed().opened]
    cause, segment = next((one.causes[0].key, one.also[0]) for one in found if one.also)
    opened = replayed(Policy(benefit=Benefit(stopped=(f"{cause}.{segment}",)))).opened
    assert opened
    assert not any(one.likeliest_cause == cause and segment in one.candidate.explanation.segments for one in opened)


def test_quotas_and_the_reserve_are_kept_every_day() -> None:
    outcome = replayed(QUOTAS)
    days: dict[int, list[bool]] = defaultdict(list)
    for one in outcome.opened:
        days[one.opened_at].append(isnan(one.candidate.usual_gap_days))
    assert max(len(day) for day in days.values()) == 2
    assert max(sum(day) for day in days.values()) == 1
    free = Counter(one.opened_at for one in replayed().opened if isnan(one.candidate.usual_gap_days))
    assert max(free.values()) > 1
    assert outcome.suppressed[QUOTA] > 0
    assert {one.policy for one in outcome.opened} == {QUOTAS.version}


@pytest.mark.parametrize("policy", [DEFAULT, STRICT, QUOTAS], ids=["default", "strict", "quotas"])
def test_calls_and_what_is_suppressed_do_not_depend_on_the_partitions(policy: Policy) -> None:
    one, three = replayed(policy), replayed(policy, 3)
    assert [(a.customer, a.opened_at, a.rank) for a in one.opened] == [
        (a.customer, a.opened_at, a.rank) for a in three.opened
    ]
    assert one.suppressed == three.suppressed


def test_customers_are_counted_on_days_without_calls() -> None:
    days = sorted(SHOP.local(alert.opened_at).date() for alert in replayed().opened)
    sale = Campaign("sale", days[0], days[-1], lull_days=0)
    outcome = replayed(Policy(campaigns=(sale,)))
    assert not any(sale.covers(SHOP.local(alert.opened_at).date()) for alert in outcome.opened)
    assert outcome.suppressed[CAMPAIGN] > len(days)
    assert replayed().suppressed[CAMPAIGN] == 0


@pytest.mark.parametrize(
    ("policy", "is_limited"),
    [
        (Policy(), False),
        (QUOTAS, True),
        (Policy(capacity=Capacity(one_time=1.0, repeat=1.0)), False),  # a quota of all calls limits none
        (Policy(benefit=Benefit(cost=1.0)), True),
    ],
    ids=["default", "quotas", "quotas of all calls", "cost"],
)
def test_settings_show_what_limits_planned_calls(policy: Policy, is_limited: bool) -> None:
    planned = Settings(capacity=10).with_policy(policy)
    shown = shown_settings(Request((), LogFormat("jsonl"), planned, Path()))
    assert (shown["reserve"], shown["limited_calls"]) == (policy.capacity.reserve, is_limited)
    by_risk = shown_settings(Request((), LogFormat("jsonl"), Settings(rank_by="risk").with_policy(policy), Path()))
    assert not {"reserve", "limited_calls"} & by_risk.keys()

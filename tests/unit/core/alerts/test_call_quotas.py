"""With quotas, too, the plan is the best one that keeps all deadlines, and does not depend on the partitions."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings, strategies as st

from stream_app.core.alerts.call_plan import planned
from stream_app.core.alerts.call_quotas import ONE_TIME, REPEAT, DayLimits, QuotaJob, calls_today, planned_with_quotas
from stream_app.core.policy.policy import Capacity, Policy
from stream_app.core.settings import Settings

Jobs = list[QuotaJob]
SOME_JOBS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6).map(float), st.sampled_from([ONE_TIME, REPEAT])), max_size=7
).map(lambda drawn: [QuotaJob(days, weight, f"c{place}", group) for place, (days, weight, group) in enumerate(drawn)])
SOME_LIMITS = st.integers(1, 3).flatmap(
    lambda capacity: st.tuples(st.integers(0, capacity), st.integers(0, capacity)).map(
        lambda quotas: DayLimits(capacity, quotas)
    )
)


def is_feasible(jobs: Jobs, limits: DayLimits) -> bool:
    """Whether there is a day for each job: tried by brute force."""
    for chosen in product(*(range(1, job.days + 1) for job in jobs)):
        days = set(chosen)
        on = {day: [job for job, at in zip(jobs, chosen, strict=True) if at == day] for day in days}
        if all(
            len(some) <= limits.capacity
            and all(sum(job.group == group for job in some) <= limits.quotas[group] for group in (ONE_TIME, REPEAT))
            for some in on.values()
        ):
            return True
    return not jobs


@settings(deadline=None)
@given(SOME_JOBS, SOME_LIMITS)
def test_no_other_set_of_calls_has_more_weight(jobs: Jobs, limits: DayLimits) -> None:
    plan = planned_with_quotas(jobs, limits)
    assert is_feasible(plan, limits)
    weight = sum(job.weight for job in plan)
    for size in range(len(jobs) + 1):
        for some in map(list, combinations(jobs, size)):
            if sum(job.weight for job in some) > weight:
                assert not is_feasible(some, limits)


@given(SOME_JOBS, SOME_LIMITS, st.integers(1, 4), st.data())
def test_the_plan_of_a_shop_is_the_plan_of_its_partitions_plans(
    jobs: Jobs, limits: DayLimits, partitions: int, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, partitions - 1), min_size=len(jobs), max_size=len(jobs)))
    parts = [[job for job, place in zip(jobs, places, strict=True) if place == part] for part in range(partitions)]
    assert planned_with_quotas(
        [job for part in parts for job in planned_with_quotas(part, limits)], limits
    ) == planned_with_quotas(jobs, limits)


@given(SOME_JOBS, SOME_LIMITS)
def test_calling_in_the_order_of_the_plan_reaches_all_of_it_in_time(jobs: Jobs, limits: DayLimits) -> None:
    left = planned_with_quotas(jobs, limits)
    while left:
        left = planned_with_quotas(left, limits)  # as the next allocation does
        today, _ = calls_today([job.group for job in left], limits)
        assert today
        assert len(today) <= limits.capacity
        for group in (ONE_TIME, REPEAT):
            assert sum(left[place].group == group for place in today) <= limits.quotas[group]
        before = len(left)
        left = [job._replace(days=job.days - 1) for place, job in enumerate(left) if place not in today]
        assert len(planned_with_quotas(left, limits)) == before - len(today), "a planned call has become impossible"


@given(SOME_JOBS, st.integers(1, 3))
def test_quotas_that_do_not_bind_change_nothing(jobs: Jobs, capacity: int) -> None:
    without = planned([capacity * job.days for job in jobs], [job.weight for job in jobs], [job.name for job in jobs])
    assert sorted(planned_with_quotas(jobs, DayLimits(capacity, (capacity, capacity)))) == sorted(
        jobs[place] for place in without
    )


@pytest.mark.parametrize(
    ("capacity", "limits"),
    [
        (Capacity(), DayLimits(10, (10, 10))),
        (Capacity(reserve=4, one_time=0.5), DayLimits(6, (3, 6))),
        (Capacity(per_day=4, one_time=0.2, repeat=0.6), DayLimits(4, (1, 2))),
        (Capacity(one_time=0, repeat=12), DayLimits(10, (0, 10))),
        (Capacity(one_time=0.0), DayLimits(10, (0, 10))),
    ],
)
def test_a_share_is_rounded_down_but_one_call_remains(capacity: Capacity, limits: DayLimits) -> None:
    assert DayLimits.of(Settings(capacity=10).with_policy(Policy(capacity=capacity))) == limits


def test_calls_that_are_put_off_by_a_quota_are_counted() -> None:
    assert calls_today([ONE_TIME, ONE_TIME, ONE_TIME], DayLimits(2, (1, 2))) == ([0], 2)
    assert calls_today([REPEAT, REPEAT, ONE_TIME], DayLimits(2, (1, 2))) == ([0, 1], 0)
    assert calls_today([], DayLimits(2, (1, 2))) == ([], 0)

"""The plan of calls is the best one that keeps all deadlines, and does not depend on the partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.alerts.call_plan import (
    active_worth,
    days_until,
    if_added,
    planned,
    planned_with_holdout,
)
from stream_app.core.policy.campaign import Campaign
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, HOUR_US
from tests.harness.shops import T0

MONDAY = T0 + 9 * HOUR_US  # the first allocation

Jobs = list[tuple[int, float, str]]  # calls until the deadline, weight, name
SOME_JOBS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5).map(float)), max_size=9).map(
    lambda drawn: [(calls, weight, f"c{place}") for place, (calls, weight) in enumerate(drawn)]
)


def plan_of(jobs: Jobs) -> Jobs:
    """The planned jobs, in order."""
    chosen = planned(*([job[column] for job in jobs] for column in range(3)))  # type: ignore[arg-type]
    return [jobs[place] for place in chosen]


def is_feasible(jobs: Jobs) -> bool:
    """Whether all jobs can be done in time: no more before a deadline than there are calls."""
    deadlines = sorted(calls for calls, _, _ in jobs)
    return all(place <= calls for place, calls in enumerate(deadlines, start=1))


@given(SOME_JOBS)
def test_no_other_set_of_calls_has_more_weight(jobs: Jobs) -> None:
    plan = plan_of(jobs)
    assert is_feasible(plan)
    best = max(
        sum(weight for _, weight, _ in some)
        for size in range(len(jobs) + 1)
        for some in map(list, combinations(jobs, size))
        if is_feasible(some)
    )
    assert sum(weight for _, weight, _ in plan) == best


@given(SOME_JOBS)
def test_calls_come_by_deadline_and_no_more_before_one_than_there_are_slots(jobs: Jobs) -> None:
    plan = plan_of(jobs)
    assert plan == sorted(plan, key=lambda job: (job[0], -job[1], job[2]))
    assert all(place <= calls for place, (calls, _, _) in enumerate(plan, start=1))


@given(SOME_JOBS, st.integers(1, 4), st.data())
def test_the_plan_of_a_shop_is_the_plan_of_its_partitions_plans(
    jobs: Jobs, partitions: int, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(0, partitions - 1), min_size=len(jobs), max_size=len(jobs)))
    parts = [[job for job, place in zip(jobs, places, strict=True) if place == part] for part in range(partitions)]
    assert plan_of([job for part in parts for job in plan_of(part)]) == plan_of(jobs)


def place_if_added(plan: Jobs, job: Jobs) -> int | None:
    joined = plan_of([*plan, *job])
    return joined.index(job[0]) if job[0] in joined else None


@given(SOME_JOBS, SOME_JOBS)
def test_a_held_out_customer_is_drawn_if_the_plan_would_call_them(jobs: Jobs, others: Jobs) -> None:
    others = [(calls, weight, f"h{name}") for calls, weight, name in others]
    expected = [place_if_added(jobs, [one]) for one in others]
    assert [one and one.place for one in if_added(plan_of(jobs), others)] == expected


@given(SOME_JOBS, st.integers(0, 2**9 - 1), st.integers(1, 4), st.integers(0, 4**9 - 1))
def test_who_is_drawn_depends_neither_on_their_arm_nor_on_the_partitions(
    jobs: Jobs, arms: int, partitions: int, places: int
) -> None:
    """Each partition sends its plan, and the held-out customers who would join it."""
    held_out = [bool(arms >> place & 1) for place in range(len(jobs))]

    def drawn(chosen: Sequence[int]) -> tuple[Jobs, dict[str, int]]:
        calls, weights, names = ([jobs[index][column] for index in chosen] for column in range(3))
        arms = [held_out[index] for index in chosen]
        plan, others = planned_with_holdout(calls, weights, names, arms)  # type: ignore[arg-type]
        return [jobs[chosen[at]] for at in plan], {jobs[chosen[at]][2]: one.place for at, one in others.items()}

    plan, others = drawn(range(len(jobs)))
    assert plan == plan_of([job for job, left in zip(jobs, held_out, strict=True) if not left])
    for name, place in others.items():  # the same customer in the other arm: the same draw
        (job,) = [one for one in jobs if one[2] == name]
        assert place_if_added(plan, [job]) == place
    names = [job[2] for job in jobs]
    parts = [[at for at in range(len(jobs)) if places // 4**at % partitions == part] for part in range(partitions)]
    sent = [drawn(part) for part in parts]
    chosen = [names.index(job[2]) for part, _ in sent for job in part]
    chosen += [names.index(name) for _, part in sent for name in part]
    assert drawn(chosen) == (plan, others)


def slots(until: int, **fields: Any) -> int:
    settings = Settings(capacity=2, **fields)
    return 2 * int(days_until(settings, MONDAY, np.array([until], dtype=np.int64))[0])


@pytest.mark.parametrize(
    ("until", "calls"),
    [
        (MONDAY - 1, 0),
        (MONDAY, 2),
        (MONDAY + DAY_US - 1, 2),
        (MONDAY + DAY_US, 4),
        (MONDAY + 6 * DAY_US, 10),  # Sunday
        (MONDAY + 7 * DAY_US, 12),
    ],
)
def test_each_working_day_until_the_deadline_has_the_capacity(until: int, calls: int) -> None:
    assert slots(until) == calls


def test_days_of_a_campaign_have_no_slots() -> None:
    sale = Campaign("sale", date(2024, 1, 1), date(2024, 1, 3), lull_days=0)
    assert slots(MONDAY + 2 * DAY_US, campaigns=(sale,)) == 0
    assert slots(MONDAY + 4 * DAY_US, campaigns=(sale,)) == 4


def test_nobody_needs_no_slots() -> None:
    assert days_until(Settings(), MONDAY, np.array([], dtype=np.int64)).tolist() == []
    assert planned([], [], []) == []


def test_what_was_taken_back_does_not_make_a_worth_negative() -> None:
    assert active_worth(np.array([-5.0, 0.0]), np.array([0.0, 90.0]), 60.0).tolist() == [0.0, 0.0]

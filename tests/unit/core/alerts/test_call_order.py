"""The calls of a day leave a plan that can still be made, and are the most urgent ones that do."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from stream_app.core.alerts.call_order import call_priority, first_calls, ranks_if_added
from stream_app.core.alerts.call_plan import Addition, if_added, planned
from stream_app.core.arrays import Floats, Ints

CAPACITY = 2
SOME_JOBS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)), max_size=8)
Jobs = list[tuple[int, float, str, float]]  # calls until the deadline, weight, name, priority


def plan_of(jobs: Jobs) -> Jobs:
    """The planned jobs, by deadline."""
    return [jobs[at] for at in planned([one[0] for one in jobs], [one[1] for one in jobs], [one[2] for one in jobs])]


def called(plan: Jobs) -> list[int]:
    return [int(place) for place in first_calls(*columns(plan), CAPACITY)]


def columns(plan: Jobs) -> tuple[Ints, Floats]:
    """Calls until the deadline and priority of each job."""
    return np.array([one[0] for one in plan], dtype=np.int64), np.array([one[3] for one in plan], dtype=np.float64)


def jobs_of(drawn: list[tuple[int, int, int]], prefix: str = "c") -> Jobs:
    """Jobs with priorities of which no two sums are equal."""
    return [
        (CAPACITY * days, float(weight), f"{prefix}{place}", priority + 0.5 ** (place + 2))
        for place, (days, weight, priority) in enumerate(drawn)
    ]


def is_possible(calls: list[int]) -> bool:
    """Whether all of them can be called in time from the next day on."""
    return all(place <= until - CAPACITY for place, until in enumerate(sorted(calls), start=1))


@given(SOME_JOBS)
def test_the_first_calls_have_the_highest_priorities_that_leave_the_rest_possible(
    drawn: list[tuple[int, int, int]],
) -> None:
    plan = plan_of(jobs_of(drawn))
    size = min(CAPACITY, len(plan))
    choices = [
        some
        for some in combinations(range(len(plan)), size)
        if is_possible([one[0] for at, one in enumerate(plan) if at not in some])
    ]
    best = max(choices, key=lambda some: sum(plan[at][3] for at in some), default=())
    assert called(plan) == list(best)


@given(SOME_JOBS, st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
def test_a_held_out_customer_has_the_rank_that_a_call_would_have(
    drawn: list[tuple[int, int, int]], other: tuple[int, int, int]
) -> None:
    plan, (one,) = plan_of(jobs_of(drawn)), jobs_of([other], "h")
    joined = plan_of([*plan, one])
    first = [joined[at] for at in called(joined)]
    expected = first.index(one) + 1 if one in first else None
    (added,) = if_added([job[:3] for job in plan], [one[:3]])
    calls, priorities = columns(plan)
    found = ranks_if_added(calls, priorities, CAPACITY, [added], np.array([one[3]])) if added else [None]
    assert found == [expected]


def rank_of_one(calls: Ints, priorities: Floats, capacity: int, added: Addition, priority: float) -> int | None:
    """The rank of an added customer, by planning the day again with them."""
    gone = [] if added.displaced is None else [added.displaced]
    calls, priorities = np.delete(calls, gone), np.delete(priorities, gone)
    calls, priorities = np.insert(calls, added.place, added.calls), np.insert(priorities, added.place, priority)
    first = first_calls(calls, priorities, capacity).tolist()
    return first.index(added.place) + 1 if added.place in first else None


def plan_with_additions(
    rng: np.random.Generator, capacity: int, size: int, days: int, levels: int
) -> tuple[Jobs, list[tuple[Addition, float]]]:
    """A plan of random jobs with few or many equal priorities, and additions to it with their priorities."""
    until = capacity * rng.integers(1, days + 1, 2 * size)
    weights, priorities = rng.integers(1, levels + 1, (2, 2 * size)).astype(float).tolist()
    jobs = list(zip(until.tolist(), weights, [f"c{at}" for at in range(2 * size)], priorities, strict=True))
    plan, others = plan_of(jobs[:size]), jobs[size:]
    found = zip(if_added([one[:3] for one in plan], [one[:3] for one in others]), others, strict=True)
    return plan, [(added, one[3]) for added, one in found if added is not None]


@pytest.mark.parametrize("seed", range(300))
def test_ranks_are_those_of_planning_the_day_again_with_each_customer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacity, days, levels = int(rng.integers(1, 6)), int(rng.integers(1, 8)), int(rng.choice([2, 5, 1000]))
    plan, found = plan_with_additions(rng, capacity, int(rng.integers(0, 2 * capacity * days + 1)), days, levels)
    calls, priorities = columns(plan)
    own = np.array([priority for _, priority in found])
    ranks = ranks_if_added(calls, priorities, capacity, [added for added, _ in found], own)
    assert ranks == [rank_of_one(calls, priorities, capacity, *one) for one in found]


def test_the_random_plans_have_customers_of_all_kinds() -> None:
    kinds = set[tuple[bool, bool]]()
    for seed in range(80):
        plan, found = plan_with_additions(np.random.default_rng(seed), 2, 4 + seed % 8, 4, 5)
        kinds |= {(one.displaced is None, rank_of_one(*columns(plan), 2, one, own) is None) for one, own in found}
    assert kinds == {(True, True), (True, False), (False, True), (False, False)}


def test_customers_who_may_return_are_called_later() -> None:
    sure, unsure = call_priority(np.array([10.0, 12.0]), np.array([0.9, 0.6])).tolist()
    assert sure > unsure
    assert np.isfinite(call_priority(np.array([1.0]), np.array([1.0]))).all()

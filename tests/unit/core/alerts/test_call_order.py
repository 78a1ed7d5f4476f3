"""The calls of a day leave a plan that can still be made, and are the most urgent ones that do."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, strategies as st

from stream_app.core.alerts.call_order import call_priority, first_calls, rank_if_added
from stream_app.core.alerts.call_plan import if_added, planned

CAPACITY = 2
SOME_JOBS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)), max_size=8)
Jobs = list[tuple[int, float, str, float]]  # calls until the deadline, weight, name, priority


def plan_of(jobs: Jobs) -> Jobs:
    """The planned jobs, by deadline."""
    return [jobs[at] for at in planned([one[0] for one in jobs], [one[1] for one in jobs], [one[2] for one in jobs])]


def called(plan: Jobs) -> list[int]:
    calls, priorities = np.array([one[0] for one in plan], dtype=np.int64), np.array([one[3] for one in plan])
    return [int(place) for place in first_calls(calls, priorities, CAPACITY)]


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
    calls, priorities = np.array([job[0] for job in plan], dtype=np.int64), np.array([job[3] for job in plan])
    found = rank_if_added(calls, priorities, CAPACITY, added, one[3]) if added else None
    assert found == expected


def test_customers_who_may_return_are_called_later() -> None:
    sure, unsure = call_priority(np.array([10.0, 12.0]), np.array([0.9, 0.6])).tolist()
    assert sure > unsure
    assert np.isfinite(call_priority(np.array([1.0]), np.array([1.0]))).all()

"""With quotas, too, a held-out customer is drawn if the plan with them alone added would call them today."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings, strategies as st

from stream_app.core.alerts.call_quotas import DayLimits, QuotaJob, calls_today, planned_with_quotas
from stream_app.core.alerts.quota_holdout import places_with_quotas
from tests.unit.core.alerts.test_call_quotas import SOME_JOBS, SOME_LIMITS, Jobs


def place_if_added(jobs: Jobs, other: QuotaJob, limits: DayLimits) -> int | None:
    """The place of a customer in a new plan of all, which `test_call_quotas.py` compares with all sets of calls."""
    plan = planned_with_quotas([*jobs, other], limits)
    if other not in plan:
        return None
    today = [plan[place] for place in calls_today([job.group for job in plan], limits)[0]]
    return today.index(other) if other in today else limits.capacity


@settings(max_examples=1_000)
@given(SOME_JOBS, SOME_JOBS, SOME_LIMITS)
def test_a_held_out_customer_is_drawn_if_the_plan_would_call_them(jobs: Jobs, others: Jobs, limits: DayLimits) -> None:
    others = [job._replace(name=f"h{job.name}") for job in others]
    expected = [place_if_added(jobs, one, limits) for one in others]
    assert places_with_quotas(planned_with_quotas(jobs, limits), others, limits) == expected


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(0, 60), st.integers(1, 4))
def test_customers_who_are_due_much_later_are_not_called_today(days: list[int], day: int, quota: int) -> None:
    """Such customers are recognised without a new plan."""
    limits = DayLimits(quota + 1, (quota, quota))
    jobs = [QuotaJob(one, float(place % 5), f"c{place}", 0) for place, one in enumerate(days)]
    other = QuotaJob(day, 2.5, "other", 0)
    assert places_with_quotas(planned_with_quotas(jobs, limits), [other], limits) == [
        place_if_added(jobs, other, limits)
    ]


@given(SOME_JOBS, SOME_LIMITS, st.integers(0, 2**7 - 1), st.integers(1, 4), st.integers(0, 4**7 - 1))
def test_who_is_drawn_depends_neither_on_their_arm_nor_on_the_partitions(
    jobs: Jobs, limits: DayLimits, arms: int, partitions: int, places: int
) -> None:
    """Each partition sends its plan, and the held-out customers who would join it."""
    held_out = {job for place, job in enumerate(jobs) if arms >> place & 1}

    def drawn(some: Sequence[QuotaJob]) -> tuple[Jobs, dict[QuotaJob, int]]:
        plan = planned_with_quotas([job for job in some if job not in held_out], limits)
        others = [job for job in some if job in held_out]
        found = zip(others, places_with_quotas(plan, others, limits), strict=True)
        return plan, {job: place for job, place in found if place is not None}

    plan, others = drawn(jobs)
    assert plan == planned_with_quotas([job for job in jobs if job not in held_out], limits)
    for job, place in others.items():  # the same customer in the other arm: the same draw
        assert place_if_added(plan, job, limits) == place
    parts = [[job for at, job in enumerate(jobs) if places // 4**at % partitions == part] for part in range(partitions)]
    sent = [job for part in parts for some in drawn(part) for job in some]
    assert drawn(sent) == (plan, others)

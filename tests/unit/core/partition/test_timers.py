"""Timers against a heap."""

from __future__ import annotations

from heapq import heappop, heappush

from hypothesis import given, strategies as st

from stream_app.core.partition.timers import Timers

# How far ahead a timer is set, or None to take, and how far to go on then.
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=120)


@given(STEPS, st.integers(1, 200), st.integers(-1000, 1000))
def test_timers_are_a_heap_in_other_clothes(steps: list[tuple[bool, int]], width: int, start: int) -> None:
    timers: Timers[int] = Timers(width)
    heap: list[tuple[int, str, int]] = []
    now = start
    for number, (adds, amount) in enumerate(steps):
        if adds:
            timer = (now + amount, f"c{number % 7}-{number}", number)
            timers.add(*timer)
            heappush(heap, timer)
        else:
            now += amount
            wanted = []
            while heap and heap[0][0] < now:
                wanted.append(heappop(heap))
            assert timers.take_before(now) == wanted
        if heap:
            assert timers.next_due == heap[0][0]
        else:
            assert timers.next_due > now + 10**9


@given(st.lists(st.tuples(st.integers(-50, 50), st.text(max_size=3)), unique=True), st.integers(1, 20))
def test_all_that_is_due_comes_in_order_of_time_and_name(timers: list[tuple[int, str]], width: int) -> None:
    queue: Timers[None] = Timers(width)
    for due, name in timers:
        queue.add(due, name, None)
    assert [(due, name) for due, name, _ in queue.take_before(51)] == sorted(timers)


def test_nothing_is_taken_at_its_own_moment() -> None:
    timers: Timers[None] = Timers(10)
    timers.add(7, "a", None)
    assert timers.take_before(7) == []
    assert timers.take_before(8) == [(7, "a", None)]

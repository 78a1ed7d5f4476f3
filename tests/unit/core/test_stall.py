"""When a process counts as standing still."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stream_app.core.stall import Progress, Stall

STILL = Progress(position=7, lag=5)


def looks(stall: Stall, *seen: Progress, every: float = 10.0) -> list[bool]:
    return [stall.stalled(number * every, progress) for number, progress in enumerate(seen)]


def test_lag_and_no_move_for_long_enough_is_a_stall() -> None:
    assert looks(Stall(30, 20), *[STILL] * 5) == [False, False, False, True, True]


@pytest.mark.parametrize("progress", [Progress(7, lag=0), Progress(7, lag=5, waiting=True)])
def test_without_lag_or_while_it_waits_for_others_it_does_not_stall(progress: Progress) -> None:
    assert not any(looks(Stall(30, 20), *[progress] * 20))


def test_lag_that_is_not_known_may_be_some() -> None:
    assert looks(Stall(30, 20), *[Progress(7, lag=None)] * 4)[-1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_it_stalls_exactly_when_the_last_looks_saw_one_position(positions: list[int]) -> None:
    told = looks(Stall(30, 20), *[Progress(position, lag=1) for position in positions])
    assert told == [
        end >= 3 and len(set(positions[end - 3 : end + 1])) == 1  # 3 looks after the first one: 30 s
        for end in range(len(positions))
    ]


def test_waiting_begins_the_count_anew() -> None:
    held = Progress(STILL.position, lag=5, waiting=True)
    assert looks(Stall(30, 20), STILL, STILL, STILL, held, STILL, STILL, STILL) == [False] * 6 + [True]


def test_time_in_which_nobody_looked_does_not_count() -> None:
    stall = Stall(after=60, longest_look=20)
    assert not stall.stalled(0, STILL)
    assert not stall.stalled(100_000, STILL)  # the machine slept
    assert stall.still_seconds == 20

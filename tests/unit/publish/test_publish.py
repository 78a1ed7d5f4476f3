"""What a published log says of time is what a replay makes of it; and how fast it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import PolicyRecord, Tick
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from stream_app.errors import BadOption, OtherLog
from stream_app.ingest import LogFormat, open_log
from stream_app.publish import speed_factor
from stream_app.publish.pace import FLAT_OUT, Pace
from stream_app.publish.schedule import steps
from stream_app.publish.session import log_id
from stream_app.publish.watermarks import End, places
from stream_app.replay.runner import Replay
from tests.harness.shops import SHOP, T0, logs, order

SHOPS = st.sampled_from(
    [
        msgspec.structs.replace(SHOP, zone=zone, nomination_hour=hour, working_days=days)
        for zone in ("UTC", "Asia/Shanghai", "Asia/Kolkata", "America/New_York")
        for hour in (0, 9)
        for days in ((0, 1, 2, 3, 4), (6,))
    ]
)


def micros(tick: Tick) -> int:
    return (tick.occurred_at - EPOCH) // MICROSECOND


class Listening(Replay):
    """A replay that only notes when it learns and nominates, and after how many events."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.seen: list[tuple[int, str, int]] = []

    def _learn(self, moment: int) -> None:
        self.seen.append((moment, "learns", self.outcome.events))

    def _nominate(self, moment: int) -> None:
        self.seen.append((moment, "nominates", self.outcome.events))


def batches(events: list[Event], size: int) -> Iterator[list[Event]]:
    for begin in range(0, len(events), size):
        yield events[begin : begin + size]


@given(logs(), SHOPS, st.integers(1, 5))
def test_the_moments_are_those_of_a_replay_and_lie_between_the_same_events(
    log: list[Event], shop: Settings, size: int
) -> None:
    replay = Listening(shop)
    replay.run([log])
    passed, found = 0, []
    for step in steps(batches(log, size), shop, complete=True):
        if isinstance(step, Tick):
            at = micros(step) - step.complete  # the end of a replay bears the time of the last event itself
            found += [(at, what, passed) for what in ("nominates", "learns") if getattr(step, what)]
        else:
            passed += len(step)
    assert found == replay.seen


@given(logs(), SHOPS, st.integers(1, 5))
def test_every_hour_is_told_in_order_and_before_what_happens_in_it(log: list[Event], shop: Settings, size: int) -> None:
    told = list(steps(batches(log, size), shop, complete=False))
    events = [event for step in told if not isinstance(step, Tick) for event in step]
    ticks = [step for step in told if isinstance(step, Tick)]
    assert events == log
    first, last = log[0].at, log[-1].at
    hours = range((first // HOUR_US + 1) * HOUR_US, last + 1, HOUR_US)
    at = [micros(tick) for tick in ticks]
    assert at == sorted(set(at))
    assert set(hours) <= set(at)
    assert all(tick.nominates for tick in ticks if micros(tick) not in hours)
    assert all(tick.waits == (tick.learns or tick.nominates) for tick in ticks)
    assert all(tick.learns == (micros(tick) % DAY_US == 0) for tick in ticks)
    assert not any(tick.complete or tick.version for tick in ticks)
    clock = first
    for step in told:
        for now in [micros(step)] if isinstance(step, Tick) else [event.at for event in step]:
            assert now >= clock
            clock = now


def test_the_end_is_told_a_microsecond_after_the_last_event() -> None:
    log: list[Event] = [order("a", T0 + 5)]
    assert list(steps([log], SHOP, complete=False)) == [log]
    (_, tick) = steps([log], SHOP, complete=True)
    end = Tick(EPOCH + (T0 + 6) * MICROSECOND, learns=True, waits=True, complete=True)
    assert tick == end
    assert list(steps([], SHOP, complete=True)) == []


def test_ticks_name_the_policy_in_force_and_there_is_one_at_its_very_time() -> None:
    log: list[Event] = [order("a", T0), order("b", T0 + 3 * HOUR_US)]
    begins = {"old": T0 - DAY_US, "new": T0 + HOUR_US + 7, "later": T0 + 3 * HOUR_US, "too_late": T0 + 4 * HOUR_US}
    policies = [PolicyRecord(EPOCH + at * MICROSECOND, version, msgspec.Raw(b"{}")) for version, at in begins.items()]
    found = list(steps([log], SHOP, complete=True, opening=True, policies=policies))
    named = [(micros(one) - T0, one.policy, one.waits) for one in found if isinstance(one, Tick)]
    assert named == [
        (0, "old", False),
        (HOUR_US, "old", False),
        (HOUR_US + 7, "new", False),
        (2 * HOUR_US, "new", False),
        (3 * HOUR_US, "later", False),
        (3 * HOUR_US + 1, "later", True),
    ]


def test_the_log_is_known_by_what_shapes_its_records(tmp_path: Path) -> None:
    line = '{"type":"order","event_id":"1","customer_id":"c","occurred_at":"2024-01-01T00:00:00Z"}\n'

    def known(text: str, settings: Settings = SHOP, partitions: int = 4, folder: str = "a", **form: Any) -> bytes:
        path = tmp_path / folder / "log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        with open_log([path], LogFormat(**({"name": "jsonl"} | form)), tmp_path) as log:
            return log_id(log, settings, partitions)

    table = "customer_id,occurred_at,amount,price\nc,2024-01-01,1,2\n"
    csv: dict[str, Any] = {"name": "csv", "kind": "order"}
    ids = [
        known(line),
        known(line + line),
        known(line.replace('"c"', '"d"')),
        known(line, msgspec.structs.replace(SHOP, zone="Asia/Shanghai")),
        known(line, msgspec.structs.replace(SHOP, nomination_hour=10)),
        known(line, msgspec.structs.replace(SHOP, working_days=(0,))),
        known(line, partitions=8),
        known(table, **csv),
        known(table, **csv, columns={"customer_id": "customer_id", "occurred_at": "occurred_at", "amount": "price"}),
    ]
    assert len(set(ids)) == len(ids)
    assert known(line, folder="elsewhere") == ids[0]
    assert known(line, msgspec.structs.replace(SHOP, capacity=9)) == ids[0]


@pytest.mark.parametrize("text", ["0", "0x", "-5x", "fast", "nanx", "inf", ""])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="1000x, or max"):
        speed_factor(text)


class Waiting(Flag):
    """A flag that nobody sets, and a clock that moves only while it is waited for."""

    now = 100.0
    naps = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        self.naps += 1
        return self.is_set()


def test_the_pace_is_the_logs_own_times_the_factor() -> None:
    clock, polled = Waiting(), []
    pace = Pace(60.0, clock, lambda: clock.now)
    for minute in (0, 1, 1, 5, 4, 10):
        pace.wait(T0 + minute * 60 * 10**6, lambda: polled.append(clock.now))
    assert clock.now == pytest.approx(110.0)  # ten minutes in ten seconds, from the first instant on
    assert len(polled) == clock.naps >= 10 / 0.2


def test_a_stop_ends_the_waiting() -> None:
    clock = Waiting()
    pace = Pace(1.0, clock, lambda: clock.now)
    pace.wait(T0, lambda: None)
    pace.wait(T0 + DAY_US, clock.set)
    assert clock.naps == 1
    assert clock.now == pytest.approx(100.2)


def test_flat_out_is_told_by_the_factor() -> None:
    assert Pace(FLAT_OUT, Flag()).flat_out
    assert not Pace(1e9, Flag()).flat_out


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (End(5, b"other", 3, empty=False), "another log (other)"),
        (End(5, None, 0, empty=False), "not written by a publisher"),
        (End(5), "no longer retained"),
    ],
    ids=["other", "foreign", "gone"],
)
def test_what_is_not_of_this_log_is_refused_unless_it_is_meant(end: End, words: str) -> None:
    ends = {("shop.orders", 0): End(9, b"mine", 7, empty=False), ("shop.orders", 1): End(), ("shop.orders", 2): end}
    with pytest.raises(OtherLog, match=r"shop\.orders, partition 2 ends with .*--after-other-logs") as error:
        places(ends, b"mine", ticks="shop.ticks", after_other_logs=False)
    assert words in str(error.value)
    assert list(places(ends, b"mine", ticks="shop.ticks", after_other_logs=True).values()) == [7, 0, 0]


def test_a_tick_of_a_worker_on_the_wall_clock_is_refused_with_the_setting_that_prevents_it() -> None:
    ends = {("shop.orders", 0): End(9, b"mine", 7, empty=False), ("shop.ticks", 0): End(3, None, 0, empty=False)}
    ends[("shop.cart", 0)] = End(5, None, 0, empty=False)
    for meant in (False, True):
        with pytest.raises(OtherLog, match=r"wall clock.*--set ticks\.clock=log.*redis\.prefix"):
            places(ends, b"mine", ticks="shop.ticks", after_other_logs=meant)

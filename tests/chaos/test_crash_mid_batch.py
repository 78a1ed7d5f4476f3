"""Crashes in mid-batch: services are killed at every step, and the result equals that of an undisturbed run."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest
from confluent_kafka import Producer

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import confluent_options
from stream_app.core.events.schema import encode
from stream_app.core.units import EPOCH, MICROSECOND
from stream_app.ingest import LogFormat
from tests.harness.processes import LiveSystem, Outcome, Process, outcome_of, outcome_of_replay
from tests.harness.shops import order

CRASHING = Path(__file__).with_name("crash_at_steps.py")
# A log of some weeks in which labels mature, scores are the model's, and alerts open and close.
SETTINGS = {
    "kafka.partitions": "4",
    "shop.horizon": "10d",
    "shop.active_window": "40d",
    "shop.decide_every": "2d",
    "shop.capacity": "3",
    "shop.alert_above": "0.3",
    "worker.publish_scores": "true",
    "worker.batch_events": "20",
    "trainer.keep": "1000",
    "health.watchdog_after": "0s",
}
SIMULATED = ["--customers", "300", "--days", "60", "--seed", "3"]
WORKER_ROUNDS = 3  # rounds of all steps; one for trainer and allocator
INSIDE_REDIS = ["torn", "sent", "stored"]
STEPS = {
    "worker": ["decide", "commit", *INSIDE_REDIS, "committed", "acknowledged", "produce", "produced"],
    "trainer": ["learn", "checkpoint", *INSIDE_REDIS, "checkpointed", "acknowledged"],
    "allocator": ["decide", "commit", *INSIDE_REDIS, "committed", "produce", "produced", "acknowledged"],
}
SEED = 11
DONE_SECONDS = 400.0


def simulated(folder: Path) -> Path:
    log = folder / "shop.jsonl"
    command = [Path(sys.executable).parent / "stream-app", "simulate", *SIMULATED, "--out", log]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=120)
    return log


def plans(name: str, rounds: int, rng: random.Random, at_most: int) -> list[str]:
    """Return kills at each step, once per round, in random order over the whole log."""
    steps = STEPS[name] * rounds
    rng.shuffle(steps)
    return [f"{step}:{rng.randint(1, at_most)}" for step in steps]


def start_crashing(live: LiveSystem, name: str, instance: str, planned: list[str]) -> Process:
    return live.start(name, instance=instance, program=[sys.executable, str(CRASHING), *planned])


def killed_at(process: Process) -> list[str]:
    """Return the steps at which it was killed so far."""
    return re.findall(r"^killed at (\S+) after", process.log.read_text(), re.MULTILINE)


@pytest.mark.slow
def test_services_killed_at_every_step_lose_and_duplicate_nothing(tmp_path: Path, tell: Callable[[str], None]) -> None:
    log = simulated(tmp_path)
    rng = random.Random(SEED)
    workers = plans("worker", WORKER_ROUNDS, rng, 40)
    half = len(workers) // 2
    planned = {"worker-0": workers[:half], "worker-1": workers[half:]}
    planned |= {name: plans(name, 1, rng, most) for name, most in (("trainer", 8), ("allocator", 4))}
    with LiveSystem(SETTINGS) as live:
        live.run("topics", "create")
        live.run("publish", str(log))
        victims = {
            instance: start_crashing(live, instance.partition("-")[0], instance, kills)
            for instance, kills in planned.items()
        }
        seconds = live.wait_until_done(DONE_SECONDS)
        killed = {instance: killed_at(process) for instance, process in victims.items()}
        came = outcome_of(live)
        clean = outcome_of_replay(live.config.shop.settings(), live.partitions, log, LogFormat("jsonl"))
        positions, ends = live.positions(), live.ends()
        kills = sum(map(len, killed.values()))
        tell(f"{kills} kills in {seconds:.0f} s; {dict(came.sent_again)} were sent again")
        tell(f"{len(came.labels)} labels, {len(came.versions)} versions, {len(came.opened)} alerts")
    # 1. Every planned kill has happened.
    assert killed == planned
    assert set(came.sent_again) >= {"labelled", "control"}
    # 2. In this log everything happens.
    assert_worth_it(clean)
    # 3. The outcome is that of the replay.
    assert came.differences(clean) == []
    assert came == clean
    assert {(role, at): offset for at, of in enumerate(positions) for role, offset in (of or {}).items()} == ends
    assert (came.lost, came.doubled) == ([], [])


def assert_worth_it(outcome: Outcome) -> None:
    assert len(outcome.labels) > 500
    assert any(version for *_, version in outcome.labels.values())
    assert len(outcome.versions) > 10
    assert len(outcome.opened) > 20
    assert outcome.closed


# --- how long a restart takes ----------------------------------------------------------------------------------------

RESTART_SECONDS = 2.0  # a supervisor's pause before a restart
BACK_SECONDS = 12.0
DISTURBED_SECONDS = 2.0


@pytest.mark.slow
def test_a_killed_worker_is_back_soon_and_does_not_disturb_the_other(tell: Callable[[str], None]) -> None:
    with LiveSystem({"kafka.partitions": "4"}) as live, closing(Feed(live)) as feed:
        live.run("topics", "create")
        victim, other = live.start("worker"), live.start("worker")
        live.wait("both have their partitions", lambda: all(len(owned(one)) == 2 for one in (victim, other)), 60)
        feed.start()
        live.wait("all partitions move", lambda: all(sum((of or {}).values()) for of in live.positions()), 60)
        mine, others = owned(victim), owned(other)
        before = other.log.read_text()
        # 1. Kill, wait as a supervisor does, restart.
        watched = Watched(live)
        victim.kill()
        killed = time.monotonic()
        while time.monotonic() < killed + RESTART_SECONDS:
            watched.look()
        stood = {number: watched.positions[number] for number in mine}
        victim.restart()
        # 2. Wait until all of its partitions have advanced.
        while any(watched.positions[number] == stood[number] for number in mine):
            watched.look()
            assert time.monotonic() < killed + 60, victim.tail()
        seconds = time.monotonic() - killed
        tell(f"worked on again {seconds:.1f} s after the kill, {RESTART_SECONDS} s of them until the restart;")
        tell(f"the other worker's partitions stood still for {watched.longest(others):.2f} s at most")
        assert "Partition task" not in other.log.read_text()[len(before) :]
        assert [victim.stop(), other.stop()] == [0, 0]
    assert seconds <= BACK_SECONDS
    assert watched.longest(others) <= DISTURBED_SECONDS


class Watched:
    """Positions of the partitions, and how long each has not advanced."""

    def __init__(self, live: LiveSystem) -> None:
        self._live = live
        self.positions: dict[int, int] = {}
        self._moved: dict[int, float] = {}
        self._longest: dict[int, float] = {}
        self.look()

    def look(self) -> None:
        """Read the positions."""
        time.sleep(0.02)
        for number, offsets in enumerate(self._live.positions()):
            position, now = sum((offsets or {}).values()), time.monotonic()
            moved = self._moved.setdefault(number, now)
            self._longest[number] = max(self._longest.get(number, 0.0), now - moved)
            if self.positions.get(number) != position:
                self.positions[number], self._moved[number] = position, now

    def longest(self, numbers: set[int]) -> float:
        """Return the longest time for which one of these did not advance, seconds."""
        return max(self._longest[number] for number in numbers)


class Feed:
    """A thread that sends a hundred orders per second over all partitions."""

    def __init__(self, live: LiveSystem) -> None:
        self._live, self._ended = live, Event()
        self._thread = Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        kafka = self._live.config.kafka
        producer = Producer(confluent_options(kafka))
        for place in count():
            customer = f"c{place % 97}"
            at = (datetime.now(UTC) - EPOCH) // MICROSECOND
            value = encode(order(customer, at, event_id=f"e{place}"))
            producer.produce(kafka.topics.orders, value, customer, partition_of(customer, kafka.partitions))
            if self._ended.wait(0.01):
                break
        producer.flush(10)


def owned(process: Process) -> set[int]:
    """Return the partitions that a worker owns, by its log."""
    told = re.findall(r'"event": "(Partition task (?:opened|closed))".*?"partition": (\d+)', process.log.read_text())
    latest = {int(number): event for event, number in told}
    return {number for number, event in latest.items() if event == "Partition task opened"}

"""The services are killed with SIGKILL at every step of their work; what comes out is what an undisturbed run gives."""

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
# A log of weeks in which labels come, models are the model's, and alerts open and close.
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
WORKER_ROUNDS = 3  # of all steps; trainer and desk: one
INSIDE_REDIS = ["torn", "sent", "stored"]
STEPS = {
    "worker": ["decide", "commit", *INSIDE_REDIS, "committed", "acknowledged", "produce", "produced"],
    "trainer": ["learn", "checkpoint", *INSIDE_REDIS, "checkpointed", "acknowledged"],
    "desk": ["decide", "commit", *INSIDE_REDIS, "committed", "produce", "produced", "acknowledged"],
}
SEED = 11
DONE_SECONDS = 400.0


def simulated(folder: Path) -> Path:
    log = folder / "shop.jsonl"
    command = [Path(sys.executable).parent / "stream-app", "simulate", *SIMULATED, "--out", log]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=120)
    return log


def plans(name: str, rounds: int, rng: random.Random, at_most: int) -> list[str]:
    """As many kills at each of the steps as there are rounds, in any order, spread over the whole log."""
    steps = STEPS[name] * rounds
    rng.shuffle(steps)
    return [f"{step}:{rng.randint(1, at_most)}" for step in steps]


def start_crashing(live: LiveSystem, name: str, instance: str, planned: list[str]) -> Process:
    return live.start(name, instance=instance, program=[sys.executable, str(CRASHING), *planned])


def killed_at(process: Process) -> list[str]:
    """The steps at which it was killed so far."""
    return re.findall(r"^killed at (\S+) after", process.log.read_text(), re.MULTILINE)


@pytest.mark.slow
def test_killed_at_every_step_nothing_is_lost_and_nothing_doubled(tmp_path: Path, tell: Callable[[str], None]) -> None:
    log = simulated(tmp_path)
    rng = random.Random(SEED)
    workers = plans("worker", WORKER_ROUNDS, rng, 40)
    half = len(workers) // 2
    planned = {"worker-0": workers[:half], "worker-1": workers[half:]}
    planned |= {name: plans(name, 1, rng, most) for name, most in (("trainer", 8), ("desk", 4))}
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
    assert set(came.sent_again) >= {"labelled", "contacts"}
    # 2. The log was one in which everything happens.
    assert_worth_it(clean)
    # 3. Nothing of it can be seen.
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

RESTART_SECONDS = 2.0  # a supervisor's pause before it starts a process again
BACK_SECONDS = 12.0
DISTURBED_SECONDS = 2.0


@pytest.mark.slow
def test_a_killed_worker_is_back_soon_and_the_other_one_never_notices(tell: Callable[[str], None]) -> None:
    with LiveSystem({"kafka.partitions": "4"}) as live, closing(Feed(live)) as feed:
        live.run("topics", "create")
        victim, other = live.start("worker"), live.start("worker")
        live.wait("both have their partitions", lambda: all(len(owned(one)) == 2 for one in (victim, other)), 60)
        feed.start()
        live.wait("all partitions move", lambda: all(sum((of or {}).values()) for of in live.positions()), 60)
        mine, others = owned(victim), owned(other)
        before = other.log.read_text()
        # 1. Kill, wait as a supervisor does, start again.
        watched = Watched(live)
        victim.kill()
        killed = time.monotonic()
        while time.monotonic() < killed + RESTART_SECONDS:
            watched.look()
        stood = {number: watched.positions[number] for number in mine}
        victim.restart()
        # 2. Until all of its partitions have moved.
        while any(watched.positions[number] == stood[number] for number in mine):
            watched.look()
            assert time.monotonic() < killed + 60, victim.tail()
        seconds = time.monotonic() - killed
        tell(f"worked on again {seconds:.1f} s after the kill, {RESTART_SECONDS} s of them until the restart;")
        tell(f"the other worker's partitions stood still for {watched.longest(others):.2f} s at most")
        assert "lane" not in other.log.read_text()[len(before) :]
        assert [victim.stop(), other.stop()] == [0, 0]
    assert seconds <= BACK_SECONDS
    assert watched.longest(others) <= DISTURBED_SECONDS


class Watched:
    """The positions as they move, and how long each has stood still."""

    def __init__(self, live: LiveSystem) -> None:
        self._live = live
        self.positions: dict[int, int] = {}
        self._moved: dict[int, float] = {}
        self._longest: dict[int, float] = {}
        self.look()

    def look(self) -> None:
        """See where they are."""
        time.sleep(0.02)
        for number, offsets in enumerate(self._live.positions()):
            position, now = sum((offsets or {}).values()), time.monotonic()
            moved = self._moved.setdefault(number, now)
            self._longest[number] = max(self._longest.get(number, 0.0), now - moved)
            if self.positions.get(number) != position:
                self.positions[number], self._moved[number] = position, now

    def longest(self, numbers: set[int]) -> float:
        """The longest time, in seconds, that one of these stood still."""
        return max(self._longest[number] for number in numbers)


class Feed:
    """Orders of now, a hundred a second over all partitions, from a thread."""

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
    """The partitions that a worker has, by its log."""
    told = re.findall(r'"event": "(lane opened|lane given up)".*?"partition": (\d+)', process.log.read_text())
    latest = {int(number): event for event, number in told}
    return {number for number, event in latest.items() if event == "lane opened"}

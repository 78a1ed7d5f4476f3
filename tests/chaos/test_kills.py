"""The services are killed with SIGKILL at every step of their work; what comes out is what an undisturbed run gives."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.live import LiveSystem, Outcome, Process, outcome_of, outcome_of_replay
from stream_app.replay.readers import LogFormat

CRASHING = Path(__file__).with_name("crashing.py")
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
WORKER_KILLS, OTHER_KILLS = 25, 5
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


def plans(name: str, kills: int, rng: random.Random, at_most: int) -> list[str]:
    """Kills spread evenly over the steps, in any order, each after some work."""
    steps = [STEPS[name][number % len(STEPS[name])] for number in range(kills)]
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
    workers = plans("worker", WORKER_KILLS, rng, 12)
    half = len(workers) // 2
    planned = {"worker-0": workers[:half], "worker-1": workers[half:]}
    planned |= {name: plans(name, OTHER_KILLS, rng, 5) for name in ("trainer", "desk")}
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
        tell(f"{kills} kills in {seconds:.0f} s; {came.sent_again} records were sent again")
        tell(f"{len(came.labels)} labels, {len(came.versions)} versions, {len(came.opened)} alerts")
    # 1. Every planned kill has happened.
    assert killed == planned
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

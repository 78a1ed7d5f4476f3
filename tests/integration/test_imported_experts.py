"""A forest that is added by settings alone, with the real services."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from stream_app.errors import ContradictorySettings, UnusableSnapshot
from stream_app.ingest import LogFormat
from tests.harness.processes import LiveSystem, outcome_of, outcome_of_replay
from tests.harness.processes.live_system import STREAM_APP
from tests.integration.test_worker import Make, ended, make

__all__ = ["make"]  # the fixture that makes systems
FOREST: Final = {"name": "forest", "model": "river.forest.ARFClassifier", "arguments": {"n_models": 10, "seed": 1}}
DEFAULT: Final = ["linear", "cells", "prior", "tree", "recency", "plain"]
SHOP: Final = {
    "shop.horizon": "10d",
    "shop.active_window": "40d",
    "shop.decide_every": "1d",
    "shop.capacity": "3",
    "trainer.keep": "1000",
}
SECONDS: Final = 180.0


def published(live: LiveSystem, folder: Path) -> Path:
    log = folder / "shop.jsonl"
    live.run("simulate", "--customers", "200", "--days", "45", "--seed", "3", "--out", str(log))
    live.run("publish", str(log))
    return log


def shares(port: int) -> dict[str, float]:
    """Return the shares that the trainer's metrics tell."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(r'^churn_model_expert_share_ratio\{scorer="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {name: float(share) for name, share in found}


@pytest.mark.slow
def test_a_forest_of_the_settings_gives_the_same_live_and_in_a_replay(make: Make, tmp_path: Path) -> None:
    live = make({**SHOP, "model.experts": json.dumps([*DEFAULT, FOREST])})
    log = published(live, tmp_path)
    trainer, port = live.start_with_metrics("trainer")
    worker = live.start("worker")
    live.start("allocator")
    live.wait_until_done(SECONDS)
    live.wait("its share is a metric", lambda: "forest" in shares(port), 30)
    assert 0.0 < shares(port)["forest"] < 1.0
    came = outcome_of(live)
    replayed = outcome_of_replay(live.config.settings(), live.partitions, log, LogFormat("jsonl"))
    assert len(came.labels) > 1_500  # more than enough for the forest to take over from the prior
    assert came.differences(replayed) == []
    assert (came.lost, came.doubled) == ([], [])
    for process in (trainer, worker):
        told = [json.loads(line) for line in process.log.read_text().splitlines() if '"Expert checked"' in line]
        assert [one["expert"] for one in told] == ["forest"]
        assert told[0]["decision_us"] > 0.0
        assert told[0]["label_us"] > 0.0
    shown = subprocess.run(
        [str(STREAM_APP), "model", "show", "--json"], env=live.environ, capture_output=True, text=True, check=True
    )
    assert "forest" in json.loads(shown.stdout)["weights"]


@pytest.mark.slow
def test_the_list_changes_between_two_runs(make: Make, tmp_path: Path) -> None:
    live = make(SHOP)
    published(live, tmp_path)
    trainer, worker, allocator = (live.start(name) for name in ("trainer", "worker", "allocator"))
    total = sum(live.ends().values())
    live.wait("a third is done", lambda: live.consumed() > total / 3, SECONDS)
    assert [process.stop() for process in (worker, trainer, allocator)] == [0, 0, 0]
    before = outcome_of(live).labels
    # 1. A worker with the new list waits for a model with it, and then ends with an error that says what to do.
    live.settings["model.experts"] = json.dumps(["linear", "cells", "prior", FOREST])
    early = live.start("worker")
    assert ended(early, 2 * SECONDS) == UnusableSnapshot.exit_code
    assert "start the trainer too" in early.tail()
    live.processes.remove(early)
    early.close()
    # 2. The trainer stores a version with the new list, and all work goes on.
    for name in ("worker", "allocator", "trainer"):
        live.start(name)
    live.wait_until_done(SECONDS)
    after = outcome_of(live)
    widths = {len(log_odds) for _, _, log_odds, *_ in after.labels.values()}
    assert widths == {14, 20}
    assert len(after.labels) > len(before)
    assert (after.lost, after.doubled) == ([], [])
    assert sum(counts.get("rejected", 0) for counts in after.counts.values()) == 0


@pytest.mark.parametrize("name", ["trainer", "worker"])
def test_a_model_that_cannot_be_used_ends_a_service_before_it_starts(make: Make, name: str) -> None:
    bad = {**FOREST, "arguments": {"n_models": 10}}
    live = make({**SHOP, "model.experts": json.dumps([*DEFAULT, bad])})
    service = live.start(name)
    assert ended(service) == ContradictorySettings.exit_code
    assert "draws numbers without a seed" in service.tail()
    assert "Traceback" not in service.tail()

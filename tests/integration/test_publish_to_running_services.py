"""Publishing to services on the wall clock: refused, or harmless; events that come too late are reported."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stream_app.errors import NotDelivered, OtherLog
from stream_app.simulate import ShopSettings, write_log
from tests.harness.processes import LiveSystem
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.servers.process import free_port
from tests.integration.test_worker import SECONDS, WALL, Make, get, make, orders_at, produce, stream_times, summaries

__all__ = ["make"]  # the fixture that makes systems
DAYS = 8


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a log of a few days of a small shop."""
    path = tmp_path_factory.mktemp("beside") / "shop.jsonl"
    with path.open("wb") as file:
        write_log(ShopSettings(customers=200, days=DAYS), 3, file)
    return path


def publishing(live: LiveSystem, log: Path, speed: str = "max") -> subprocess.Popen[str]:
    """Start the command."""
    command = [str(STREAM_APP), "publish", str(log), "--speed", speed]
    return subprocess.Popen(command, env=live.environ | {"COLUMNS": "500"}, stderr=subprocess.PIPE, text=True)


def assert_refused(process: subprocess.Popen[str], status: int) -> None:
    """Check that the command ends within seconds, with the cause and the remedy."""
    said = process.communicate(timeout=SECONDS)[1]
    assert process.returncode == status, said
    assert "wall clock" in said
    assert "--set ticks.clock=log" in said


def has_ticked(live: LiveSystem) -> bool:
    """Whether a worker on the wall clock has sent a tick that its partitions have applied."""
    return min(stream_times(live)) > datetime.now(UTC) - timedelta(hours=1)


def too_late(live: LiveSystem) -> int:
    """Return the number of events that came too late, over all partitions."""
    return sum(one.counts.get("too_late", 0) for one in summaries(live))


def test_a_worker_on_the_wall_clock_ran_before(make: Make, log: Path) -> None:
    live = make({**WALL, "shop.lateness": "1d"})
    live.start("worker")
    live.wait("its clock ticks", lambda: has_ticked(live), SECONDS)
    assert_refused(publishing(live, log), OtherLog.exit_code)
    assert all(end == 0 for (role, _), end in live.ends().items() if role != "ticks")


def test_a_worker_on_the_wall_clock_starts_in_between(make: Make, log: Path) -> None:
    live = make({**WALL, "shop.lateness": "1d"})
    publisher = publishing(live, log, "1000x")  # eleven minutes
    live.wait("it publishes", lambda: sum(live.ends().values()) > 10, SECONDS)
    live.start("worker")
    assert_refused(publisher, NotDelivered.exit_code)


@pytest.mark.slow
def test_the_wall_clock_takes_over_after_a_whole_log(make: Make, log: Path) -> None:
    live = make({**WALL, "shop.lateness": "1d"})
    live.run("publish", str(log), "--open-end")
    for name in ("trainer", "allocator", "worker"):
        live.start(name)
    live.wait("time has come to now", lambda: has_ticked(live), 3 * SECONDS)
    events = len(log.read_bytes().splitlines())
    assert sum(one.counts["accepted"] for one in summaries(live)) == events
    assert too_late(live) == 0


def in_time(live: LiveSystem) -> dict[str, Any]:
    """Return the check of /readyz."""
    said = get(live, "/readyz")[1]
    found: dict[str, Any] = json.loads(said)["checks"].get("in_time", {}) if said else {}
    return found


def test_late_events_are_reported(make: Make) -> None:
    live = make({**WALL, "shop.lateness": "1h", "health.port": str(free_port())})
    live.start("worker")
    live.wait("its clock ticks", lambda: has_ticked(live), SECONDS)
    now = datetime.now(UTC) - timedelta(seconds=100)
    produce(live, "orders", orders_at(now, 40))
    live.wait("all is well", lambda: in_time(live).get("ok") is True, SECONDS)
    produce(live, "orders", orders_at(now - timedelta(days=30), 40))
    live.wait("it is not", lambda: in_time(live).get("ok") is False, SECONDS)
    assert "40 of the last 80 events" in in_time(live)["reason"]
    assert "ticks.clock" in in_time(live)["reason"]
    status, metrics = get(live, "/metrics")
    assert status == 200
    assert "churn_events_too_late_total 40.0" in metrics

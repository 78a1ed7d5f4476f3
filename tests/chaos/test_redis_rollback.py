"""Redis is rolled back to an older snapshot: the services catch up from Kafka, and the result is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stream_app.ingest import LogFormat
from tests.chaos.test_crash_mid_batch import DONE_SECONDS, SETTINGS, assert_worth_it, simulated
from tests.harness.processes import LiveSystem, outcome_of, outcome_of_replay

SERVICES = ("worker", "worker", "trainer", "allocator")
SAVED_AT, SET_BACK_AT = 0.3, 0.6  # of the log


def worked_off(live: LiveSystem) -> float:
    """Return the share of the log that has been processed."""
    done = sum(sum((of or {}).values()) for of in live.positions())
    return done / max(sum(live.ends().values()), 1)


def dump(live: LiveSystem) -> dict[bytes, bytes]:
    """Return all keys under the prefix at one instant, as a snapshot of Redis has them."""
    keys = list(live.redis.scan_iter(match=f"{live.config.redis.prefix}:*"))
    pipeline = live.redis.pipeline(transaction=True)
    for key in keys:
        pipeline.dump(key)
    return {key: value for key, value in zip(keys, pipeline.execute(), strict=True) if value is not None}


def rolled_back(live: LiveSystem, dumped: dict[bytes, bytes]) -> None:
    """Replace all keys by those that were dumped."""
    for key in live.redis.scan_iter(match=f"{live.config.redis.prefix}:*"):
        live.redis.delete(key)
    for key, value in dumped.items():
        live.redis.restore(key, 0, value)


@pytest.mark.slow
def test_a_rolled_back_redis_is_caught_up_from_kafka(tmp_path: Path, tell: Callable[[str], None]) -> None:
    log = simulated(tmp_path)
    with LiveSystem(SETTINGS) as live:
        live.run("topics", "create")
        live.run("publish", str(log))
        services = [live.start(name) for name in SERVICES]
        live.wait("part of it is worked off", lambda: worked_off(live) > SAVED_AT, DONE_SECONDS)
        dumped = dump(live)
        live.wait("more of it is worked off", lambda: worked_off(live) > SET_BACK_AT, DONE_SECONDS)
        for service in services:
            service.kill()
        rolled_back(live, dumped)
        assert worked_off(live) < SET_BACK_AT
        for service in services:
            service.restart()
        live.wait_until_done(DONE_SECONDS)
        came = outcome_of(live)
        clean = outcome_of_replay(live.config.shop.settings(), live.partitions, log, LogFormat("jsonl"))
        said = [service.log.read_text() for service in services]
        tell(f"{len(came.labels)} labels, {len(came.versions)} versions, {len(came.opened)} alerts: as of a replay")
    assert_worth_it(clean)
    assert "Redis is behind Kafka, catching up" in said[0] + said[1]
    assert "Redis is behind Kafka, continuing after the records in Kafka" in said[3]
    assert came.differences(clean) == []
    assert came == clean

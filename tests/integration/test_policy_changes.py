"""A contact policy that is published while worker and allocator run is in force without a restart."""

from __future__ import annotations

import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from stream_app.config.policy_file import load_policy
from stream_app.core.messages.schema import PolicyRecord, decode_control, encode_message
from stream_app.core.policy.policy import Policy
from stream_app.core.policy.published import content_of
from stream_app.core.units import DAY_US, from_micros, micros
from stream_app.ingest import LogFormat
from tests.harness.processes import LiveSystem, outcome_of, outcome_of_replay
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.processes.outcome import messages_of
from tests.integration.test_worker import PARTITIONS, SECONDS, WALL, Make, make, orders_at, produce, summaries, ticks_of

__all__ = ["make"]  # the fixture that makes systems
PLANNED = {
    "shop.horizon": "10d",
    "shop.active_window": "40d",
    "shop.decide_every": "2d",
    "shop.capacity": "4",
    "shop.rank_by": "worth",
    "trainer.keep": "1000",
}


def written(folder: Path, per_day: int) -> tuple[Path, Policy]:
    """Write a policy file; return it and the policy."""
    path = folder / f"{per_day}.yaml"
    path.write_text(f"capacity: {{per_day: {per_day}}}\n", encoding="utf-8")
    return path, load_policy(path)


def published(live: LiveSystem) -> list[PolicyRecord]:
    """Return the policies on the control topic."""
    values = [message.value() for of in messages_of(live, "control").values() for message in of]
    return [one for one in map(decode_control, values) if isinstance(one, PolicyRecord)]


@pytest.mark.slow
def test_a_policy_in_a_published_log_changes_the_calls_as_in_its_replay(make: Make, tmp_path: Path) -> None:
    live, log, (_, few) = make(PLANNED), tmp_path / "shop.jsonl", written(tmp_path, 1)
    live.run("simulate", "--customers", "300", "--days", "60", "--seed", "3", "--out", str(log))
    first = msgspec.json.decode(log.read_bytes().split(b"\n", 1)[0])["occurred_at"]
    switch = from_micros(micros(datetime.fromisoformat(first)) + 40 * DAY_US)
    with log.open("ab") as file:
        file.write(encode_message(PolicyRecord(switch, few.version, msgspec.Raw(content_of(few)))) + b"\n")
    processes = [live.start(name) for name in ("trainer", "allocator", "worker")]
    live.run("publish", str(log))
    live.wait_until_done(120)
    assert all(process.running for process in processes)
    came = outcome_of(live)
    replayed = outcome_of_replay(live.config.shop.settings(), PARTITIONS, log, LogFormat("jsonl"))
    assert came.differences(replayed) == []
    assert came == replayed
    calls: dict[str, Counter[datetime]] = {}
    for alert in came.opened.values():
        if not alert.urgent:
            calls.setdefault(alert.policy, Counter())[alert.opened_at] += 1
    initial = live.config.shop.settings().policy.version
    assert {policy: max(days.values()) for policy, days in calls.items()} == {initial: 4, few.version: 1}
    assert max(calls[initial]) < switch < min(calls[few.version])
    (record,) = published(live)
    assert (record.occurred_at, record.version) == (switch, few.version)
    assert {one.policy for one in summaries(live)} == {few.version}


@pytest.mark.slow
def test_a_policy_is_published_to_running_services(make: Make, tmp_path: Path) -> None:
    live, (file, few), (other_file, other) = make({**WALL, **PLANNED}), written(tmp_path, 1), written(tmp_path, 9)
    produce(live, "orders", orders_at(datetime.now(UTC) - timedelta(hours=2), 20))
    worker, allocator = live.start("worker"), live.start("allocator")
    live.wait("it ticks", lambda: all(len(of) > 1 for of in ticks_of(live)), SECONDS)
    assert {one.policy for one in summaries(live)} == {""}

    def in_force(policy: Policy) -> bool:
        return {one.policy for one in summaries(live)} == {policy.version}

    # 1. It is in force on all partitions, at a tick of its own, and once on the log.
    for _ in range(2):
        assert few.version in live.run("policy", "publish", str(file))
    live.wait("it is in force", lambda: in_force(few), SECONDS)
    (record,) = published(live)
    assert load_policy(file) == msgspec.json.decode(record.policy, type=Policy)
    for of in ticks_of(live):
        assert next(one.occurred_at for one in of if one.policy) == record.occurred_at
    shown = msgspec.json.decode(live.run("policy", "show", "--json"))
    assert (shown["version"], shown["capacity"]["per_day"]) == (few.version, 1)
    # 2. A worker that is killed continues with it, and follows the next one.
    worker.kill()
    worker.restart()
    assert other.version in live.run("policy", "publish", str(other_file))
    live.wait("the next one is in force", lambda: in_force(other), SECONDS)
    assert [one.version for one in published(live)] == [few.version, other.version]
    # 3. Content that was lost is missed, and published again.
    prefix = live.config.redis.prefix
    live.redis.hdel(f"{prefix}:{{clock}}:contents", other.version)
    worker.kill()
    worker.restart()
    assert worker.popen.wait(SECONDS) == 4
    assert f"policy {other.version} is neither in Redis" in worker.tail()
    live.run("policy", "publish", str(other_file))
    worker.restart()
    before = [len(of) for of in ticks_of(live)]
    live.wait("it ticks again", lambda: all(len(of) > n for of, n in zip(ticks_of(live), before, strict=True)), SECONDS)
    assert in_force(other)
    # 4. What contradicts it is refused.
    (tmp_path / "bad.yaml").write_text("capacity: {reserve: 4}\n", encoding="utf-8")
    refused = subprocess.run(
        [str(STREAM_APP), "policy", "publish", str(tmp_path / "bad.yaml")],
        env=live.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, "reserve" in refused.stderr) == (2, True)
    assert allocator.running

"""`stream-app policy`: publish and show the policy in force; a log that contains policies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from stream_app.cli import policy as commands
from stream_app.config.policy_file import load_policy
from stream_app.core.messages.schema import PolicyRecord, encode_message
from stream_app.core.policy.published import content_of
from stream_app.core.units import DAY_US, from_micros, micros
from stream_app.simulate import ShopSettings, write_log
from tests.fakes import MemoryPolicyStore, MemoryServer
from tests.harness.shops import T0
from tests.unit.cli.test_commands import run

PLANNED = {"STREAM_APP_SHOP__RANK_BY": "worth", "STREAM_APP_SHOP__ZONE": "Asia/Shanghai"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryPolicyStore:
    """Provide the store that the commands use, whose clock is at T0."""
    kept = MemoryPolicyStore(MemoryServer(now_us=lambda: T0))

    def with_stores(_: object, task: Callable[[Any], Awaitable[Any]]) -> Any:
        async def work() -> Any:
            return await task(SimpleNamespace(policies=kept))

        return asyncio.run(work())

    monkeypatch.setattr(commands, "with_stores", with_stores)
    return kept


def written(folder: Path, text: str) -> str:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_policy_is_published_once_and_shown(store: MemoryPolicyStore, tmp_path: Path) -> None:
    file = written(tmp_path, "capacity: {per_day: 7}")
    version = load_policy(Path(file)).version
    shown = json.loads(run("policy", "show", "--json", **PLANNED).stdout)
    assert (shown["since"], shown["capacity"]["per_day"]) == (None, 30)
    done = run("policy", "publish", file, "--lang", "en", **PLANNED)
    assert (done.exit_code, done.stdout) == (0, f"Policy {version} is in force from 2024-01-01 08:00 on.\n")
    again = run("policy", "publish", file, "--lang", "en", **PLANNED)
    assert "has been in force since 2024-01-01 08:00. Nothing was changed." in again.stdout
    assert [one.version for one in asyncio.run(store.published())] == [version]
    shown = json.loads(run("policy", "show", "--json", **PLANNED).stdout)
    assert (shown["version"], shown["since"]) == (version, "2024-01-01T00:00:00+00:00")
    assert shown["capacity"]["per_day"] == 7
    for lang, words in (("en", "in force since 2024-01-01 08:00"), ("zh", "自 2024-01-01 08:00 起生效")):
        assert words in run("policy", "show", "--lang", lang, **PLANNED).stdout
    log_clock = run("policy", "publish", file, "--set", "ticks.clock=log", "--lang", "zh", **PLANNED)
    assert "只采用其中记录的策略" in log_clock.stdout


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("capacity: {per_day: none}", "line 1"),
        ("capacity: {reserve: 30}", "leaves no calls beside the policy's reserve"),
        ("holdout: {share: 0.2, experiment: spring, planned: 9}", "changes the rules of the experiment 'spring'"),
        ("currency: {base: EUR}", "is not CNY, the currency of the amounts that are stored"),
    ],
)
def test_a_policy_that_cannot_follow_is_refused(
    store: MemoryPolicyStore, tmp_path: Path, text: str, problem: str
) -> None:
    first = written(tmp_path, "holdout: {share: 0.2, experiment: spring}\ncurrency: {base: CNY}")
    assert run("policy", "publish", first, **PLANNED).exit_code == 0
    refused = run("policy", "publish", written(tmp_path, text), **PLANNED)
    assert refused.exit_code == 2
    assert problem in " ".join(refused.stderr.replace("│", " ").split())
    assert len(asyncio.run(store.published())) == 1


def test_a_replay_follows_the_policies_of_its_log(tmp_path: Path) -> None:
    log, few = tmp_path / "shop.jsonl", load_policy(Path(written(tmp_path, "capacity: {per_day: 1}")))
    with log.open("wb") as file:
        write_log(ShopSettings(customers=200, days=150), 3, file)
    begin = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["occurred_at"]
    changed = micros(datetime.fromisoformat(begin)) + 100 * DAY_US
    with log.open("ab") as file:
        file.write(encode_message(PolicyRecord(from_micros(changed), few.version, msgspec.Raw(content_of(few)))))
    options = ("--rank-by", "worth", "--capacity", "4", "--lost-after", "90d", "--horizon", "30d")
    done = run("replay", str(log), "--out", str(tmp_path), *options)
    assert done.exit_code == 0, done.stderr
    lines = (tmp_path / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    opened = [one for one in map(json.loads, lines) if one["kind"] == "opened"]
    before, after = ([one["at"] for one in opened if (one["policy"] == few.version) == late] for late in (False, True))
    assert max(before) < from_micros(changed).isoformat() < min(after)
    assert (max(map(before.count, before)), max(map(after.count, after))) == (4, 1)
    assert json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["log"]["skipped"] == 1

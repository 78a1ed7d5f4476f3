"""Models forged by someone with access to Redis but without a key: services end with an error, and load nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from stream_app.config import Topics
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.signature import sign
from stream_app.core.model.snapshot import pickle_body, restore, snapshot
from stream_app.core.training.trainer import Trainer
from stream_app.demo.secrets import new_secret
from stream_app.errors import BadConfig, UnusableSnapshot
from stream_app.services.runtime.stores import Stores
from tests.harness.processes import LiveSystem, Process
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.shops import trained_model
from tests.integration.test_worker import PARTITIONS, WALL, _learned, ended, orders_at, produce, with_stores

Make = Callable[..., LiveSystem]


class Evil:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def make(kafka: str, redis_url: str) -> Iterator[Make]:
    """Provide a maker of systems with topics, keys and a group of their own."""
    with ExitStack() as stack:

        def made(**settings: str) -> LiveSystem:
            prefix = f"m{uuid4().hex[:8]}"
            own = {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
            own |= {"kafka.group": prefix, "redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}
            live = stack.enter_context(LiveSystem({**own, **WALL, **settings}, kafka, redis_url))
            live.run("topics", "create")
            return live

        yield made


@pytest.fixture
def keys_only(redis_url: str) -> Iterator[LiveSystem]:
    """Provide a system that uses only Redis."""
    prefix = f"m{uuid4().hex[:8]}"
    with LiveSystem({"redis.prefix": prefix, "kafka.partitions": str(PARTITIONS)}, "127.0.0.1:9", redis_url) as live:
        yield live


def key_file(live: LiveSystem) -> Path:
    """Return the key file of a system."""
    file = Path(live.settings["model.key_file"])
    file.chmod(0o600)
    return file


def model_key(live: LiveSystem, name: str) -> str:
    return f"{live.config.redis.prefix}:{{model}}:{name}"


def show(live: LiveSystem, *command: str) -> subprocess.CompletedProcess[str]:
    words = [str(STREAM_APP), *command]
    return subprocess.run(words, env=live.environ, capture_output=True, text=True, check=False, timeout=60)


async def _checkpointed(stores: Stores, live: LiveSystem) -> None:
    """Store a checkpoint like a trainer."""
    settings = live.config.shop.settings()
    training = Trainer(ChurnModel(settings.horizon, settings.decide_every, 1), PARTITIONS, settings.horizon)
    await stores.models.claim("trainer")
    await stores.models.checkpoint(base=0, number=1, checkpoint=training.checkpoint(), through=0)


def checkpointed(live: LiveSystem) -> Callable[[Stores], Awaitable[None]]:
    return lambda stores: _checkpointed(stores, live)


def refused(process: Process, says: str) -> None:
    """Check that a process ended with an error message, without a signal or a traceback."""
    assert ended(process) == UnusableSnapshot.exit_code
    assert says in process.tail()
    assert "Traceback" not in process.tail()


# --- without a key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trainer", "worker"])
def test_without_a_key_a_service_that_needs_one_does_not_start(make: Make, name: str) -> None:
    live = make(**{"model.key_file": ""})
    service = live.start(name)
    assert ended(service) == BadConfig.exit_code
    assert "STREAM_APP_MODEL__KEY_FILE" in service.tail()
    assert "stream-app secret model.key" in service.tail()


def test_services_without_a_model_need_no_key(make: Make) -> None:
    live = make(**{"model.key_file": ""})
    allocator = live.start("allocator")
    live.wait("the allocator has started", lambda: '"Service started"' in allocator.log.read_text(), 40)
    assert show(live, "model", "list").returncode == 0
    assert "is not kept" in show(live, "model", "show", "1").stderr


# --- forged ------------------------------------------------------------------------------------------------------


def test_a_forged_checkpoint_ends_the_trainer_with_an_error(make: Make, tmp_path: Path) -> None:
    live = make()
    with_stores(live, checkpointed(live))
    live.redis.hset(model_key(live, "meta"), "checkpoint", pickle.dumps(Evil(tmp_path / "loaded")))
    refused(live.start("trainer"), "it is not signed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["unsigned", "other key", "one bit", "torn", "empty", "gone", "renumbered", "no number"]
)
def test_a_checkpoint_is_read_only_as_the_trainer_has_stored_it(keys_only: LiveSystem, kind: str) -> None:
    live = keys_only
    with_stores(live, checkpointed(live))
    meta = model_key(live, "meta")
    stored: bytes = live.redis.hget(meta, "checkpoint")  # type: ignore[assignment]
    content, context = stored[40:], f"{live.config.redis.prefix} checkpoint 1"
    match kind:
        case "renumbered":
            live.redis.hset(meta, "number", "2")
        case "no number":
            live.redis.hset(meta, "number", "one")
        case "gone":
            live.redis.hdel(meta, "checkpoint")
        case _:
            forged = {
                "unsigned": content,
                "other key": sign(content, context, (b"k" * 43,)),
                "one bit": stored[:-1] + bytes([stored[-1] ^ 1]),
                "torn": stored[:-1],
                "empty": b"",
            }
            live.redis.hset(meta, "checkpoint", forged[kind])
    with pytest.raises(UnusableSnapshot):
        with_stores(live, lambda stores: stores.models.latest())


def test_a_checkpoint_of_another_prefix_is_refused(keys_only: LiveSystem) -> None:
    live = keys_only
    with_stores(live, checkpointed(live))
    other = f"{live.config.redis.prefix}-2"
    live.redis.copy(model_key(live, "meta"), f"{other}:{{model}}:meta")
    assert with_stores(live, lambda stores: stores.models.latest())[0] == 1
    live.settings["redis.prefix"] = other
    del live.config
    with pytest.raises(UnusableSnapshot, match="written for another installation"):
        with_stores(live, lambda stores: stores.models.latest())


@pytest.mark.parametrize("kind", ["swapped", "unsigned", "one bit", "empty"])
def test_a_version_is_read_only_as_the_trainer_has_stored_it(keys_only: LiveSystem, kind: str) -> None:
    live = keys_only
    with_stores(live, _learned)
    snapshots = model_key(live, "snapshots")
    stored: bytes = live.redis.hget(snapshots, "1")  # type: ignore[assignment]
    damaged = stored[:90] + bytes([stored[90] ^ 128]) + stored[91:]
    forged = {"swapped": stored, "unsigned": stored[40:], "one bit": damaged, "empty": b""}
    live.redis.hset(snapshots, "2", forged[kind])
    with pytest.raises(UnusableSnapshot, match="of version 2"):
        with_stores(live, lambda stores: stores.models.snapshot(2))


def test_a_forged_version_ends_a_worker_with_an_error(make: Make, tmp_path: Path) -> None:
    live = make()
    with_stores(live, _learned)
    live.redis.hset(model_key(live, "snapshots"), "2", pickle.dumps(Evil(tmp_path / "loaded")))
    produce(live, "orders", orders_at(datetime.now(UTC) - timedelta(hours=2), 20))
    refused(live.start("worker"), "The model snapshot of version 2 cannot be used")
    told = show(live, "model", "show", "2")
    assert told.returncode == UnusableSnapshot.exit_code
    assert "Traceback" not in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_metadata_of_versions_is_read_as_json(keys_only: LiveSystem) -> None:
    live = keys_only
    with_stores(live, _learned)
    live.redis.hset(model_key(live, "versions"), "2", b"\xff{")
    told = show(live, "model", "list")
    assert told.returncode == UnusableSnapshot.exit_code
    assert "Traceback" not in told.stderr


# --- a key is replaced --------------------------------------------------------------------------------------------


def test_a_key_is_replaced_without_a_pause(keys_only: LiveSystem) -> None:
    live = keys_only
    with_stores(live, _learned)
    file, new = key_file(live), new_secret("password")
    old = file.read_text()
    # 1. All know the new key, and the old one signs.
    file.write_text(f"{old}\n{new}\n")
    assert show(live, "model", "show", "1").returncode == 0
    # 2. The new key signs, and models signed with the old one are read.
    file.write_text(f"{new}\n{old}\n")
    assert show(live, "model", "show", "1").returncode == 0

    async def third(stores: Stores) -> None:
        await stores.models.claim("trainer")
        (*_, last), stored = await stores.models.versions(), snapshot(trained_model())
        version = msgspec.structs.replace(last, number=3, effective_at=3)
        await stores.models.checkpoint(base=2, number=3, checkpoint=b"", through=3, version=version, snapshot=stored)

    with_stores(live, third)
    # 3. The old key is removed, and a rollback to models signed with it is refused.
    file.write_text(new)
    assert show(live, "model", "show", "3").returncode == 0
    told = show(live, "model", "show", "1")
    assert told.returncode == UnusableSnapshot.exit_code
    assert "signed with another key" in told.stderr


# --- an update from 0.1.0 ------------------------------------------------------------------------------------------


def test_after_the_keys_of_an_unsigned_model_are_deleted_the_trainer_learns_again(make: Make) -> None:
    live = make()
    live.redis.hset(
        model_key(live, "meta"), mapping={"number": 1, "checkpoint": pickle_body(trained_model()), "epoch": 7}
    )
    refused(live.start("trainer"), "it is not signed")
    live.redis.delete(*live.redis.keys(model_key(live, "*")))
    live.processes.pop().close()
    trainer = live.start("trainer")
    live.wait("the trainer has started", lambda: '"Service started"' in trainer.log.read_text(), 40)
    assert trainer.stop() == 0


def test_the_model_is_read_back_as_it_was_stored(keys_only: LiveSystem) -> None:
    live = keys_only
    with_stores(live, _learned)
    stored: bytes = with_stores(live, lambda stores: stores.models.snapshot(2))
    assert restore(stored).examples == trained_model().examples

"""The services start on the content of Redis of an earlier release, and continue as that release did."""

from __future__ import annotations

import asyncio
import json
import lzma
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from confluent_kafka import Producer

from stream_app.config import Topics, confluent_options
from stream_app.core.model.signature import verify
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.services.runtime.stores import Stores
from tests.harness.processes import LiveSystem, Outcome, outcome_of
from tests.harness.processes.outcome import messages_of, outcome_in_redis
from tests.harness.receivers import SiteThread
from tests.harness.stored import (
    entries_of,
    load,
    plain_outcome,
    read_packed,
)

FIXTURES = Path(__file__).parents[1] / "data" / "upgrade"
RELEASES = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "facts.json").exists())
SECONDS = 180.0
LEFT = b"left in the outbox"  # reason of a dead letter in the outbox of the fixture
SERVICES = ("trainer", "allocator", "worker", "notifier")


class Receiver:
    """Accept everything, as a webhook and as a robot."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.messages = 0

    async def hook(self, request: web.Request) -> web.Response:
        self.ids.append(request.headers["webhook-id"])
        return web.Response(status=204)

    async def robot(self, _: web.Request) -> web.Response:
        self.messages += 1
        return web.json_response({"errcode": 0, "errmsg": "ok"})


def without_topics(keyspace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyspace without ids of topics: this test has other topics, with the same offsets."""
    return {
        name: (kind, [one for one in entries if not one[0].startswith(b"topic:")] if kind == "hash" else entries)
        for name, (kind, entries) in keyspace.items()
    }


def offsets(keyspace: Mapping[str, Any], partitions: int) -> dict[tuple[str, int], int]:
    """Return the position in each topic, by role and partition."""
    found: dict[tuple[str, int], int] = {}
    for number in range(partitions):
        position = json.loads(entries_of(keyspace, f"{{p{number}}}:meta")[b"position"])
        found |= {(role, number): offset for role, offset in position["offsets"].items()}
        allocator = json.loads(entries_of(keyspace, "{p-1}:meta")[b"position"])
        found["nominations", number] = allocator["read"][str(number)]["offset"]
        found["alerts", number] = json.loads(entries_of(keyspace, "{deliver}:meta")[b"position"])[str(number)]
    checkpoint = entries_of(keyspace, "{model}:meta")[b"checkpoint"]
    read = msgspec.msgpack.decode(checkpoint[len(b"churnsig") + 32 :])["read"]
    return found | {("labelled", number): one["offset"] for number, one in read.items()}


def fill(live: LiveSystem, keyspace: Mapping[str, Any]) -> None:
    """Fill the topics up to the stored positions, with records that are not read."""
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 5})
    headers: list[tuple[str, str | bytes | None]] = [("log", b"filled"), ("place", bytes(8))]
    for (role, number), offset in offsets(keyspace, live.partitions).items():
        for _ in range(offset):
            producer.produce(getattr(live.config.kafka.topics, role), b"filled", None, number, headers=headers)
    assert producer.flush(60) == 0


@pytest.fixture(params=RELEASES)
def folder(request: pytest.FixtureRequest) -> Path:
    return FIXTURES / request.param


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def live(folder: Path, receiver: Receiver, kafka: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSystem]:
    """Provide a system whose Redis holds the keyspace, with topics that end at its positions."""
    facts, prefix = json.loads((folder / "facts.json").read_bytes()), f"u{uuid4().hex[:8]}"
    settings = {**facts["settings"], "model.key_file": str(folder / "test-key.txt"), "kafka.group": prefix}
    settings["shop.rank_by"] = "risk"  # the default of that release
    settings |= {f"kafka.topics.{role}": f"{prefix}.{role}" for role in Topics.model_fields}
    with ExitStack() as stack:
        site = stack.enter_context(SiteThread(hook=receiver.hook, closed=receiver.hook, robot=receiver.robot))
        monkeypatch.setenv("HOOK", facts["channel_secret"])
        monkeypatch.setenv("DING", f"{site.url('robot')}?access_token=t")
        live = stack.enter_context(LiveSystem({**settings, "worker.publish_scores": "true"}, kafka))
        channels, text = live.folder / "channels.yaml", facts["channel_file"]
        channels.write_text(text.replace("URL/hook", site.url("hook")).replace("URL/closed", site.url("closed")))
        live.settings["delivery.config"] = str(channels)
        keyspace = read_packed(folder / "keyspace.msgpack.xz")["keys"]
        load(live.redis, facts["settings"]["redis.prefix"], without_topics(keyspace))
        live.run("topics", "create")
        fill(live, keyspace)
        yield live


@pytest.mark.slow
def test_the_services_continue_as_the_earlier_release_did(
    live: LiveSystem, folder: Path, receiver: Receiver, tmp_path: Path
) -> None:
    after = json.loads((folder / "facts.json").read_bytes())["after"]
    before = Outcome(versions=outcome_in_redis(live).versions)
    # 1. They start, and deliver the pending messages.
    services = [live.start(name) for name in SERVICES]
    live.wait("what was pending is sent", lambda: _pending(live) == 0, SECONDS)
    assert {f"al_calm{place}:hook" for place in range(3)} | {"al_failing:hook"} <= set(receiver.ids)
    assert receiver.messages > 0
    # 2. Records that a killed process left in the outbox are sent.
    live.wait("the outboxes are empty", live.done, SECONDS)
    messages = [dict(one.headers()) for of in messages_of(live, "dead_letters").values() for one in of]
    assert [one["kafka_dlt-exception-message"] for one in messages] == [LEFT]
    # 3. A closed channel is open again, as requested; dead deliveries can be redriven.
    live.run("deliveries", "redrive", "--all")
    live.wait("nothing is dead", lambda: not live.redis.scard(_key(live, "dead")), SECONDS)
    live.wait("it is sent", lambda: "al_failing:closed" in receiver.ids, SECONDS)
    # 4. The rest of the log gives the same customers, labels, alerts and models as it did then.
    second = tmp_path / "second.jsonl"
    second.write_bytes(lzma.decompress((folder / "second.jsonl.xz").read_bytes()))
    live.run("publish", str(second), "--after-other-logs")
    live.wait_until_done(SECONDS)
    found = plain_outcome(outcome_of(live), before)
    assert [service.stop() for service in services] == [0] * len(services)
    for name in after:
        assert found[name] == after[name], name
    assert min(len(after[name]) for name in ("labels", "opened", "closed", "versions")) > 0


def test_alerts_and_actions_that_wait_on_the_contacts_topic_are_applied(live: LiveSystem, folder: Path) -> None:
    keyspace = read_packed(folder / "keyspace.msgpack.xz")["keys"]
    number, position = 0, json.loads(entries_of(keyspace, "{p0}:meta")[b"position"])
    at = position["cursor"][0]
    open_now = {one["customer_id"] for one in json.loads("[" + ",".join(_alerts(live).splitlines()) + "]")}
    names = [name.decode() for name in entries_of(keyspace, f"{{p{number}}}:states")]
    name = next(one for one in names if one not in open_now)
    produce = Producer({**confluent_options(live.config.kafka), "linger.ms": 0})
    topic, sequence = live.config.kafka.topics.contacts, 10**6
    for value in (
        _opening(name, at, sequence),
        _step(name, at, "episode_acked", alert_id="al_waiting", staff="li"),
        _contact(name, at),
    ):
        produce.produce(topic, value, name, number)
    assert produce.flush(30) == 0
    worker = live.start("worker")
    live.wait("they are applied", live.done, SECONDS)
    (alert,) = [one for one in map(json.loads, _alerts(live).splitlines()) if one["alert_id"] == "al_waiting"]
    assert (alert["customer_id"], alert["owner"]) == (name, "li")
    # Nobody may write there what only the system may say, once the upgraded worker has started.
    produce.produce(topic, _step(name, at + 1, "episode_resolved", alert_id="al_waiting", staff="eve"), name, number)
    assert produce.flush(30) == 0
    live.wait("it is a dead letter", lambda: _dead_letters(live) == [b"action"], SECONDS)
    assert "al_waiting" in _alerts(live)
    assert worker.stop() == 0


def _alerts(live: LiveSystem) -> str:
    return live.run("alerts", "list", "--all", "--json")


def _dead_letters(live: LiveSystem) -> list[Any]:
    found = [dict(one.headers()) for of in messages_of(live, "dead_letters").values() for one in of]
    return [one["kafka_dlt-exception-field"] for one in found if one["kafka_dlt-exception-message"] != LEFT]


def _contact(customer: str, at: int, **fields: Any) -> bytes:
    """Return a contact as release 0.1.1 wrote it."""
    when = (EPOCH + at * MICROSECOND).isoformat()
    head = {"type": "contact", "event_id": f"e-{len(fields)}-{at}", "customer_id": customer, "occurred_at": when}
    return json.dumps(head | fields).encode()


def _step(customer: str, at: int, action: str, **fields: Any) -> bytes:
    return _contact(customer, at, action=action, **fields)


def _opening(customer: str, at: int, sequence: int) -> bytes:
    nominee = {"customer": customer, "rank_value": 0.9, "probability": 0.9, "monthly_worth": 10.0, "silent_days": 3.0}
    nominee |= {"usual_gap_days": None, "source": 0, "version": 0}
    alert = {"alert_id": "al_waiting", "opened_at": at, "expires_at": at + DAY_US, "rank": 1, "bar": 0.5}
    return _step(customer, at, "episode_opened", sequence=sequence, opening={**alert, "nominee": nominee})


def test_commands_read_what_was_stored(live: LiveSystem, folder: Path) -> None:
    keyspace = read_packed(folder / "keyspace.msgpack.xz")["keys"]
    listed = live.run("deliveries", "list", "--json").splitlines()
    assert len(listed) > 0
    read = entries_of(keyspace, "{p0}:states")
    shown = live.run("state", "show", next(iter(read)).decode())
    assert next(iter(read)).decode() in shown


def test_the_stores_verify_and_open_what_was_stored(live: LiveSystem, folder: Path) -> None:
    keyspace = read_packed(folder / "keyspace.msgpack.xz")["keys"]

    async def opened() -> None:
        stores = Stores(live.config)
        try:
            await stores.states.claim("upgraded")
            await stores.models.claim("upgraded")
            for number in (*range(live.partitions), -1):
                meta = entries_of(keyspace, f"{{p{number}}}:meta")
                found = await stores.states.open(number)
                assert found.position == meta[b"position"]
                states = dict([one async for chunk in stores.states.states(number) for one in chunk])
                assert len(states) == len(entries_of(keyspace, f"{{p{number}}}:states"))
            latest, meta = await stores.models.latest(), entries_of(keyspace, "{model}:meta")
            keys = live.config.model.keys()
            number, prefix = int(meta[b"number"]), live.config.redis.prefix
            assert latest == (number, verify(meta[b"checkpoint"], f"{prefix} checkpoint {number}", keys, "fixture"))
            assert await stores.models.pinned() == int(meta[b"pinned"])
            assert await stores.models.through() == int(meta[b"through"])
            index = dict(keyspace["{model}:index"][1])
            assert await stores.models.version_at(int(max(index.values()))) == int(max(index))
            assert str(await stores.lease.last()).encode() == keyspace["{clock}:last"][1]
        finally:
            await stores.close()

    asyncio.run(opened())


def _key(live: LiveSystem, kind: str) -> str:
    return f"{live.config.redis.prefix}:{{deliver}}:{kind}"


def _pending(live: LiveSystem) -> Any:
    return live.redis.scard(_key(live, "open"))

"""The parts of the shells that need no server: relay, ticker, models."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import msgspec
import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from stream_app.adapters.kafka.refusals import InvalidRecordError
from stream_app.core.expert_spec import DEFAULT, ExpertSpec
from stream_app.core.messages.outgoing import SEQUENCE, Outgoing, pack, sequence_of
from stream_app.core.messages.schema import PolicyRecord, Tick, decode_control, decode_tick
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import fingerprint, snapshot
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.progress import Summary
from stream_app.core.policy.policy import Capacity, Policy
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US, HOUR_US, micros
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import (
    ContradictorySettings,
    KafkaDenied,
    NoBroker,
    UnknownPolicy,
    UnusablePolicy,
    UnusableSnapshot,
)
from stream_app.ports import ModelVersion
from stream_app.services.runtime import outbox_relay as relay_module, process
from stream_app.services.runtime.outbox_relay import OutboxRelay
from stream_app.services.runtime.policy_versions import PolicyVersions, in_force, publish as publish_policy
from stream_app.services.worker import ticker as ticker_module
from stream_app.services.worker.model_versions import ModelVersions
from stream_app.services.worker.ticker import SETTLE_US, Ticker
from tests.fakes import MemoryLease, MemoryModelStore, MemoryPolicyStore, MemoryServer, MemoryStateStore
from tests.harness.shops import PLANNED, SHOP, T0, trained_model

TOPICS = {role: f"shop.{role}" for role in ("alerts", "ticks", "labelled", "dead_letters", "scores", "control")}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@dataclass
class Kafka:
    """A producer that keeps what it was given; after `fails` records it breaks. What `refuses` names is never taken."""

    records: list[tuple[str, int, bytes, int]] = field(default_factory=list)
    fails: int = 1 << 30
    refuses: Callable[[bytes], Exception | None] = lambda _: None
    gaps: set[tuple[str, int]] = field(default_factory=set)  # where the producer's numbers are ahead of the broker's
    taken_back: int = 0
    lenient: bool = False  # it takes any number as the first of a producer in a topic, as real brokers may

    def take_back(self, topic: str, partition: int, records: int) -> None:
        self.gaps.discard((topic, partition))
        self.taken_back += records

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,  # noqa: ARG002 - aiokafka's
        partition: int | None = None,
        timestamp_ms: int | None = None,  # noqa: ARG002
        headers: list[tuple[str, bytes | None]] | None = None,
    ) -> asyncio.Future[object]:
        if len(self.records) >= self.fails:
            raise ConnectionError
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        known = not self.lenient or any(one[0] == topic for one in self.records)
        place = topic, partition or 0
        refusal = OutOfOrderSequenceNumber() if place in self.gaps and known else self.refuses(value or b"")
        if refusal is not None:
            self.gaps.add(place)
            future.set_exception(refusal)
            return future
        self.records.append((topic, partition or 0, value or b"", sequence_of(headers or [])))
        future.set_result(None)
        return future


def outbox(*values: bytes) -> list[bytes]:
    return [pack(Outgoing("alerts", 1, None, value)) for value in values]


async def committed(store: MemoryStateStore, base: bytes, position: bytes, records: list[bytes]) -> int:
    outcome, first = await store.commit(Commit(1, base, position, {}, b"", records), position.decode(), 0)
    assert outcome.stored
    return first


# --- relay -----------------------------------------------------------------------------------------------------------


def test_an_outbox_is_relayed_in_order_with_its_sequence_and_then_dropped() -> None:
    async def story() -> None:
        store, kafka = MemoryStateStore(MemoryServer()), Kafka()
        await store.claim("w")
        await store.open(1)
        relay = OutboxRelay(1, store, kafka, TOPICS)
        first = await committed(store, b"", b"1", outbox(b"a", b"b"))
        relay.add(first, outbox(b"a", b"b"))
        relay.add(await committed(store, b"1", b"2", outbox(b"c")), outbox(b"c"))
        assert relay.pending == 3
        await relay.drain()
        assert kafka.records == [
            ("shop.alerts", 1, value, number) for number, value in enumerate((b"a", b"b", b"c"), 1)
        ]
        assert (relay.pending, relay.relayed, await store.outbox(1, 0, 10)) == (0, 3, [])

    run(story())


def test_what_an_earlier_owner_stored_is_relayed_by_the_next_one() -> None:
    async def story() -> None:
        store, kafka = MemoryStateStore(MemoryServer()), Kafka(fails=2)
        await store.claim("w")
        await store.open(1)
        relay = OutboxRelay(1, store, kafka, TOPICS)
        relay.add(await committed(store, b"", b"1", outbox(b"a", b"b", b"c")), outbox(b"a", b"b", b"c"))
        with pytest.raises(ConnectionError):
            await relay.flush()
        kafka.fails = 1 << 30
        heir = OutboxRelay(1, store, kafka, TOPICS)
        await heir.recover()
        await heir.drain()
        assert [record[3] for record in kafka.records] == [1, 2, 1, 2, 3]  # again, with the same numbers

    run(story())


def test_a_lane_waits_while_kafka_is_behind() -> None:
    async def story() -> None:
        store, kafka = MemoryStateStore(MemoryServer()), Kafka()
        await store.claim("w")
        await store.open(1)
        relay = OutboxRelay(1, store, kafka, TOPICS)
        many = outbox(*[b"x"] * 2_001)
        relay.add(await committed(store, b"", b"1", many), many)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(relay.has_room(), 0.01)
        await relay.flush()
        await asyncio.wait_for(relay.has_room(), 0.01)

    run(story())


def relayed(kafka: Kafka, *records: Outgoing) -> list[str]:
    """OutboxRelay some records to the end; returns the roles of what was dropped."""
    dropped: list[str] = []

    async def story() -> None:
        store = MemoryStateStore(MemoryServer())
        await store.claim("w")
        await store.open(1)
        packed = [pack(one) for one in records]
        relay = OutboxRelay(1, store, kafka, TOPICS, on_dropped=dropped.append)
        relay.add(await committed(store, b"", b"1", packed), packed)
        await relay.drain()
        assert (relay.relayed, await store.outbox(1, 0, 10)) == (len(records), [])

    run(story())
    return dropped


@pytest.mark.parametrize(
    "refusal", [MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError, PolicyViolationError]
)
@pytest.mark.parametrize("role", ["alerts", "scores", "dead_letters"])
def test_what_the_broker_refuses_for_good_is_dropped_and_the_others_arrive_in_order(
    refusal: type[KafkaError], role: str, caplog: pytest.LogCaptureFixture
) -> None:
    kafka = Kafka(refuses=lambda value: refusal() if value.startswith(b"bad") else None)
    values = [b"a", b"bad", b"b", b"c", b"bad2", b"d"]
    assert relayed(kafka, *[Outgoing(role, 1, None, value) for value in values]) == [role] * 2
    assert [(value, number) for _, _, value, number in kafka.records] == [(b"a", 1), (b"b", 3), (b"c", 4), (b"d", 6)]
    assert [record.sequence for record in caplog.records] == [2, 5]  # type: ignore[attr-defined]


def test_a_dead_letter_is_cut_until_its_topic_takes_it_and_the_next_ones_at_once() -> None:
    asked: list[int] = []

    def refuses(value: bytes) -> Exception | None:
        asked.append(len(value))
        return MessageSizeTooLargeError() if len(value) > 10_000 else None

    kafka = Kafka(refuses=refuses)
    assert relayed(kafka, *[Outgoing("dead_letters", 1, b"key", b"x" * size) for size in (500_000, 5, 400_000)]) == []
    assert [number for _, _, _, number in kafka.records] == [1, 2, 3]
    assert min(len(value) for _, _, value, _ in kafka.records if len(value) > 5) > 5_000
    assert len(asked) < 15
    assert not kafka.gaps


def test_what_an_earlier_release_left_for_the_contacts_topic_goes_to_the_control_topic() -> None:
    kafka = Kafka()

    async def story() -> None:
        store = MemoryStateStore(MemoryServer())
        await store.claim("w")
        await store.open(1)
        packed = [pack(Outgoing("contacts", 1, b"c", b"opening"))]
        relay = OutboxRelay(1, store, kafka, TOPICS)
        relay.add(await committed(store, b"", b"1", packed), packed)
        await relay.drain()

    run(story())
    assert [(topic, partition, value) for topic, partition, value, _ in kafka.records] == [
        ("shop.control", 1, b"opening")
    ]


@pytest.mark.parametrize("refusal", [MessageSizeTooLargeError, PolicyViolationError, InvalidRecordError])
@pytest.mark.parametrize("role", ["labelled", "control"])
@pytest.mark.parametrize("values", [[b"a", b"bad", b"b"], [b"bad", b"b"]])
def test_what_others_wait_for_is_kept_and_goes_on_once_the_topic_is_mended(
    values: list[bytes],
    role: str,
    refusal: type[KafkaError],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(relay_module, "_RETRY_SECONDS", 0.01)
    mended = False
    kafka = Kafka(refuses=lambda value: None if mended or value != b"bad" else refusal(), lenient=True)

    async def story() -> None:
        nonlocal mended
        store = MemoryStateStore(MemoryServer())
        await store.claim("w")
        await store.open(1)
        packed = [pack(Outgoing(role, 1, None, value)) for value in values]
        relay = OutboxRelay(1, store, kafka, TOPICS)
        relay.add(await committed(store, b"", b"1", packed), packed)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(relay.drain(), 0.2)
        assert f"shop.{role}[1] rejects record {values.index(b'bad') + 1}" in relay.refused
        assert "stream-app topics check" in relay.refused
        assert (relay.pending, len(await store.outbox(1, 0, 10))) == (len(values), len(values))
        assert len(caplog.records) == 1, caplog.messages  # and not one a try
        draining = asyncio.create_task(relay.drain())
        await asyncio.sleep(0.05)
        assert relay.refused
        mended = True
        await asyncio.wait_for(draining, 5.0)
        assert (relay.refused, relay.pending, await store.outbox(1, 0, 10)) == ("", 0, [])

    run(story())
    # Some may come twice, and none before its turn: whoever has heard a number takes lower ones for known.
    heard = list(dict.fromkeys(number for *_, number in kafka.records))
    assert heard == [1, 2, 3][: len(values)]
    assert not kafka.gaps


def test_what_others_wait_for_and_may_not_be_written_ends_the_relay_and_stays_in_the_store() -> None:
    async def story() -> None:
        store = MemoryStateStore(MemoryServer())
        await store.claim("w")
        await store.open(1)
        packed = [pack(Outgoing("labelled", 1, None, b"marker"))]
        relay = OutboxRelay(1, store, Kafka(refuses=lambda _: TopicAuthorizationFailedError()), TOPICS)
        relay.add(await committed(store, b"", b"1", packed), packed)
        with pytest.raises(KafkaDenied, match=r"Kafka denies Write on the topic shop\.labelled"):
            await relay.flush()
        assert len(await store.outbox(1, 0, 10)) == 1

    run(story())


def test_no_permission_is_not_for_good() -> None:
    kafka = Kafka(refuses=lambda _: TopicAuthorizationFailedError())
    with pytest.raises(KafkaDenied, match="denies Write on the topic"):
        relayed(kafka, Outgoing("alerts", 1, None, b"alert"))


def test_numbers_out_of_order_without_a_refusal_are_an_error() -> None:
    with pytest.raises(OutOfOrderSequenceNumber):
        relayed(Kafka(refuses=lambda _: OutOfOrderSequenceNumber()), Outgoing("alerts", 1, None, b"alert"))


def test_a_lane_waits_while_few_but_large_records_are_pending() -> None:
    async def story() -> None:
        store, kafka = MemoryStateStore(MemoryServer()), Kafka()
        await store.claim("w")
        await store.open(1)
        relay = OutboxRelay(1, store, kafka, TOPICS)
        many = outbox(*[b"x" * 900_000] * 40)
        relay.add(await committed(store, b"", b"1", many), many)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(relay.has_room(), 0.01)
        await relay.drain()
        await asyncio.wait_for(relay.has_room(), 1.0)

    run(story())


def test_a_record_of_somebody_else_has_no_sequence() -> None:
    assert sequence_of([("other", b"1")]) == 0
    assert sequence_of([("other", b"1"), (SEQUENCE, b"12")]) == 12


# --- ticker ----------------------------------------------------------------------------------------------------------


_TICKS = "shop.ticks"


@dataclass
class Clock:
    now: int

    def __call__(self) -> int:
        return self.now


def ticker_of(server: MemoryServer, kafka: Kafka, holder: str) -> Ticker:
    return Ticker(
        lease=MemoryLease(server), models=MemoryModelStore(server, 3), policies=MemoryPolicyStore(server),
        producer=kafka, topic=_TICKS, control="shop.control", partitions=2, settings=Settings(),
        holder=holder, every=60_000_000, ttl=30_000_000,
    )  # fmt: skip


def ticks(kafka: Kafka) -> list[Tick]:
    read = [decode_tick(value) for topic, partition, value, _ in kafka.records if (topic, partition) == (_TICKS, 0)]
    return [one for one in read if isinstance(one, Tick)]


def test_one_of_the_workers_writes_the_ticks_and_every_moment_once() -> None:
    async def story() -> None:
        kafka, seconds = Kafka(), Clock(0)
        clock = Clock(T0 + 8 * HOUR_US + SETTLE_US)
        server = MemoryServer(lambda: seconds.now, clock)
        first, second = (ticker_of(server, kafka, name) for name in ("a", "b"))
        assert (await first.write_due(), await second.write_due()) == (1, 0)  # to every partition
        assert [record[1] for record in kafka.records] == [0, 1]
        # The owner dies before 09:00; whoever takes over writes what was missed, moments included.
        clock.now = T0 + 33 * HOUR_US + SETTLE_US
        seconds.now = 31
        assert await second.write_due() == 3
        told = [(one.learns, one.nominates) for one in ticks(kafka)]
        assert told == [(False, False), (False, True), (True, False), (False, True)]
        assert await second.write_due() == 0
        assert (first.owner, await first.write_due(), first.owner) == (True, 0, False)

    run(story())


def test_a_tick_that_is_refused_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_module, "_POLL_SECONDS", 0.01)

    async def story() -> None:
        mended = False
        kafka = Kafka(refuses=lambda _: None if mended else MessageSizeTooLargeError())
        server = MemoryServer(lambda: 0, Clock(T0 + 8 * HOUR_US + SETTLE_US))
        ticker = ticker_of(server, kafka, "a")
        running = asyncio.create_task(ticker.run())
        await asyncio.sleep(0.2)
        assert not running.done()
        assert "shop.ticks rejects ticks" in ticker.refused
        assert "stream-app topics check" in ticker.refused
        mended = True
        await asyncio.sleep(0.2)
        assert (ticker.refused, [partition for _, partition, _, _ in kafka.records]) == ("", [0, 1])
        running.cancel()

    run(story())


def test_a_tick_names_the_version_that_is_in_force_or_pinned() -> None:
    async def story() -> None:
        kafka, clock = Kafka(), Clock(T0 + SETTLE_US)
        server = MemoryServer(lambda: 0, clock)
        ticker, models = ticker_of(server, kafka, "a"), MemoryModelStore(server, 3)
        await ticker.write_due()
        await models.claim("t")
        for number in (1, 2):
            version = ModelVersion(number, T0 + number * DAY_US, "f", 0, 1, {}, 0)
            await models.checkpoint(
                base=number - 1, number=number, checkpoint=b"c", through=0, version=version, snapshot=b"s"
            )
        clock.now = T0 + DAY_US + HOUR_US
        await ticker.write_due()
        await models.pin(2)
        clock.now += HOUR_US
        await ticker.write_due()
        first, *_, at_midnight, pinned = [one.version for one in ticks(kafka)]
        assert (first, at_midnight, pinned) == (0, 1, 2)

    run(story())


def policies(kafka: Kafka) -> list[tuple[int, int, str]]:
    """Place among all records, time and version of each policy on the control topic."""
    found = []
    for place, (topic, partition, value, _) in enumerate(kafka.records):
        message = decode_control(value)
        if isinstance(message, PolicyRecord):
            assert (topic, partition) == ("shop.control", 0)
            found.append((place, micros(message.occurred_at), message.version))
    return found


def test_a_tick_at_the_very_time_of_a_policy_names_it_after_its_content_was_written_once() -> None:
    async def story() -> None:
        kafka, seconds, clock = Kafka(), Clock(0), Clock(T0 + SETTLE_US)
        server = MemoryServer(lambda: seconds.now, clock)
        ticker, store = ticker_of(server, kafka, "a"), MemoryPolicyStore(server)
        await ticker.write_due()
        assert [one.policy for one in ticks(kafka)] == [""]
        clock.now = T0 + HOUR_US
        published, _ = await store.publish("p1", b"{}")
        assert await ticker.write_due() == 1  # not yet, since ticks are two seconds late
        assert [one.policy for one in ticks(kafka)] == ["", ""]
        # The owner dies between the policy and its tick, and somebody else writes both again, at the same time.
        clock.now += HOUR_US
        kafka.fails = len(kafka.records) + 1
        with pytest.raises(ConnectionError):
            await ticker.write_due()
        kafka.fails, seconds.now = 1 << 30, 31
        other = ticker_of(server, kafka, "b")
        assert await other.write_due() == 2
        first, again = policies(kafka)
        assert first[1:] == again[1:] == (published.effective_at, "p1")
        named = [micros(one.occurred_at) for one in ticks(kafka) if one.policy == "p1"]
        assert named == [published.effective_at, clock.now - SETTLE_US]
        place = next(place for place, record in enumerate(kafka.records) if b'"policy":"p1"' in record[2])
        assert place == again[0] + 1
        clock.now += HOUR_US
        await other.write_due()
        assert len(policies(kafka)) == 2
        assert ticks(kafka)[-1].policy == "p1"

    run(story())


def test_a_policy_that_was_published_before_the_first_tick_is_named_by_it() -> None:
    async def story() -> None:
        kafka, clock = Kafka(), Clock(T0)
        server = MemoryServer(lambda: 0, clock)
        for version in ("p1", "p2"):
            await MemoryPolicyStore(server).publish(version, b"{}")
        clock.now = T0 + HOUR_US
        await ticker_of(server, kafka, "a").write_due()
        assert [(at, version) for _, at, version in policies(kafka)] == [(clock.now - SETTLE_US, "p2")]
        assert [one.policy for one in ticks(kafka)] == ["p2"]

    run(story())


# --- policies --------------------------------------------------------------------------------------------------------


def test_settings_are_those_under_each_policy() -> None:
    async def story() -> None:
        store, few = MemoryPolicyStore(MemoryServer()), Policy(capacity=Capacity(per_day=1))
        initial = PLANNED.with_policy(Policy(capacity=Capacity(per_day=9)))
        versions = PolicyVersions(store, initial)
        assert await versions.get("") is await versions.get(initial.policy.version) is initial
        assert await versions.get(few.version) is None
        with pytest.raises(UnknownPolicy, match=few.version):
            await versions.of_summary(msgspec.json.encode(Summary(named_policy=few.version)))
        await publish_policy(store, initial, few)
        found = await versions.of_summary(msgspec.json.encode(Summary(named_policy=few.version)))
        assert found == PLANNED.with_policy(few)
        assert await in_force(store, initial) == (found, (await store.published())[0])
        await store.publish("later", b'{"a_later_rule": 1}')
        with pytest.raises(UnusablePolicy, match="a_later_rule"):
            await versions.get("later")

    run(story())


def test_a_policy_that_contradicts_those_before_it_is_not_published() -> None:
    async def story() -> None:
        server = MemoryServer()
        store, spring = MemoryPolicyStore(server), Holdout(0.4, "spring")
        shop = msgspec.structs.replace(PLANNED, holdout=Holdout(0.4, "winter"))
        await publish_policy(store, shop, Policy(holdout=spring))
        await publish_policy(store, shop, Policy(holdout=Holdout()))
        server.policies.contents.clear()
        await publish_policy(store, shop, Policy(holdout=spring))  # its content was lost
        for name, problem, policy in (
            ("holdout", "spring", Policy(holdout=Holdout(0.4, "spring", window=DAY_US))),
            ("holdout", "winter", Policy(holdout=Holdout(0.4, "winter", planned=9))),
            ("capacity", "reserve", Policy(capacity=Capacity(reserve=9))),
        ):
            with pytest.raises(ContradictorySettings, match=problem) as refused:
                await publish_policy(store, shop, policy)
            assert refused.value.facts["name"] == name
        assert [one.version for one in await store.published()][-1] == Policy(holdout=spring).version
        lower = Policy(holdout=Holdout(0.2, "spring"))
        assert (await publish_policy(store, shop, lower))[0].version == lower.version

    run(story())


# --- models ----------------------------------------------------------------------------------------------------------


def test_a_version_that_is_gone_is_replaced_by_an_earlier_one_never_by_a_later() -> None:
    async def story() -> None:
        store = MemoryModelStore(MemoryServer(), keep=2)
        await store.claim("t")
        stored = snapshot(trained_model())
        for number in (3, 5, 7):
            version = ModelVersion(number, number, "f", 0, len(stored), {}, 0)
            at = (3, 5, 7).index(number)
            await store.checkpoint(base=at, number=at + 1, checkpoint=b"c", through=0, version=version, snapshot=stored)
        models = ModelVersions(store, SHOP)
        untaught = fingerprint(ChurnModel(SHOP.horizon, SHOP.decide_every, 1))
        assert fingerprint(await models.get(0)) == untaught
        assert fingerprint(await models.get(7)) == fingerprint(trained_model())
        assert await models.get(6) is await models.get(5)
        assert fingerprint(await models.get(3)) == untaught  # not kept, and there is none before it

    run(story())


def test_a_version_that_is_still_to_come_is_waited_for_and_a_stand_in_is_not_kept() -> None:
    """A store that was set back: ticks in Kafka name versions that the trainer is about to make again."""

    async def story() -> None:
        store = MemoryModelStore(MemoryServer(), keep=9)
        await store.claim("t")
        stored = snapshot(trained_model())
        looks: list[float] = []

        async def add(number: int) -> None:
            version = ModelVersion(number, number, "f", 0, len(stored), {}, 0)
            at = await store.latest()
            base = at[0] if at else 0
            await store.checkpoint(
                base=base, number=base + 1, checkpoint=b"c", through=0, version=version, snapshot=stored
            )

        async def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                await add(7)

        models = ModelVersions(store, SHOP, sleep)
        assert fingerprint(await models.get(7)) == fingerprint(trained_model())
        assert len(looks) == 3
        untaught = fingerprint(ChurnModel(SHOP.horizon, SHOP.decide_every, 1))
        assert await models.get(9) is await models.get(7)  # it does not come
        assert len(looks) > 60
        await add(9)
        assert await models.get(9) is not await models.get(7)
        assert fingerprint(await models.get(9)) != untaught

    run(story())


def test_a_version_that_nobody_makes_is_waited_for_once_or_not_at_all() -> None:
    """A tick may name any number; each step of a lane asks for it."""

    async def story() -> None:
        looks: list[float] = []

        async def sleep(seconds: float) -> None:
            looks.append(seconds)

        models = ModelVersions(MemoryModelStore(MemoryServer(), keep=9), SHOP, sleep)
        for _ in range(3):
            await models.get(999_999)
        assert not looks
        for _ in range(3):
            await models.get(12)
        assert len(looks) == 60

    run(story())


OWN = ExpertSpec("own", "tests.harness.own_models.make_regression")


def test_a_worker_with_another_list_of_experts_than_the_trainer_does_not_score() -> None:
    async def story() -> None:
        store = MemoryModelStore(MemoryServer(), keep=9)
        await store.claim("t")
        relisted = ChurnModel(SHOP.horizon, SHOP.decide_every, 1, (*DEFAULT, OWN))
        for number, model in enumerate((trained_model(), trained_model(), relisted), start=1):
            stored = snapshot(model)
            version = ModelVersion(number, number, "f", 0, len(stored), {}, 0)
            await store.checkpoint(
                base=number - 1, number=number, checkpoint=b"c", through=0, version=version, snapshot=stored
            )
        # 1. One that still has the old list is refused when it starts, and when it meets the new version.
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        old = ModelVersions(store, SHOP, sleep)
        for asked in (old.check(), old.get(3)):
            with pytest.raises(UnusableSnapshot, match="of version 3") as refused:
                await asked
            assert "linear, cells, prior, tree, recency, plain, own" in str(refused.value)
            assert "model.experts" in str(refused.value)
        assert len(waits) == 60  # the trainer may be about to start with it
        # 2. So is one that gives the model other arguments.
        other = msgspec.structs.replace(OWN, arguments={"learning_rate": 0.5})
        with pytest.raises(UnusableSnapshot, match="gives its experts other settings"):
            await ModelVersions(store, SHOP.with_experts((*DEFAULT, other)), sleep).check()
        # 3. One with the new list scores with earlier versions too: the new expert is untrained there.
        new = ModelVersions(store, SHOP.with_experts((*DEFAULT, OWN)))
        await new.check()
        assert [(await new.get(number)).names[-2] for number in (0, 2, 3)] == ["own"] * 3

    run(story())


# --- how a service says why it ends --------------------------------------------------------------------------------


class Terminal(StringIO):
    """Standard error as a terminal, or as a pipe."""

    def __init__(self, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize("tty", [True, False])
def test_an_error_of_ours_is_a_sentence_in_a_terminal_and_a_line_of_the_log_elsewhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tty: bool
) -> None:
    screen, error = Terminal(tty), NoBroker(bootstrap="kafka:9092", problem="it is not there")
    monkeypatch.setattr(sys, "stderr", screen)
    process._report("worker", error)
    told = f"stream-app worker: {error}\n"
    assert screen.getvalue() == (told if tty else "")
    assert [record.getMessage() for record in caplog.records] == ([] if tty else ["Service failed"])


def test_what_we_did_not_foresee_is_always_told_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal(tty=True))
    process._report("worker", ValueError("odd"))
    assert caplog.records[-1].exc_info

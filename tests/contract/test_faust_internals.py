"""Private names of Faust and aiokafka that the transport uses: they exist, and are as they were when they were read."""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka import errors as kafka_errors
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import Assignment, SubscriptionState, TopicPartitionState
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import TopicPartition
from faust.app.base import App
from faust.sensors.monitor import Monitor
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.tuples import Message
from mode.threads import QueueServiceThread

from stream_app.adapters.kafka.refusals import InvalidRecordError
from tests.harness.raw_kafka import batch, record

# The versions whose source was read. Before changing them, read again what is named below.
READ = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}

# Methods that are overridden or called.
SIGNATURES = {
    (AIOKafkaConsumerThread, "__post_init__"): "(self)",
    (AIOKafkaConsumerThread, "_create_worker_consumer"): "(self, transport)",
    (AIOKafkaConsumerThread, "_ensure_consumer"): "(self)",
    (AIOKafkaConsumerThread, "on_start"): "(self)",
    (QueueServiceThread, "call_thread"): "(self, fun, *args, **kwargs)",
    (QueueServiceThread, "_stopped_set"): "(self)",
    (GroupCoordinator, "check_errors"): "(self)",
    (Consumer, "_new_consumer_thread"): "(self)",
    (Consumer, "_getmany"): "(self, active_partitions, timeout)",
    (Consumer, "_to_message"): "(self, tp, record)",
    (Consumer, "getmany"): "(self, timeout)",
    (Consumer, "_wait_next_records"): "(self, timeout)",
    (Consumer, "perform_seek"): "(self)",
    (Consumer, "seek_to_committed"): "(self)",
    (Consumer, "assignment"): "(self)",
    (Consumer, "stop_flow"): "(self)",
    (Consumer, "on_buffer_full"): "(self, tp)",
    (Consumer, "on_partitions_revoked"): "(self, revoked)",
    (Consumer, "on_partitions_assigned"): "(self, assigned, generation_id=0)",
    (Consumer, "ack"): "(self, message)",
    (Consumer, "_new_offset"): "(self, tp)",
    (Consumer, "_commit"): "(self, offsets)",
    (Consumer, "_add_gap"): "(self, tp, offset_from, offset_to)",
    (Monitor, "track_tp_end_offset"): "(self, tp, offset)",
    (Fetcher, "_proc_fetch_request"): "(self, assignment, node_id, request)",
    (Fetcher, "_create_fetch_waiter"): "(self)",
    (Fetcher, "_notify"): "(self, future)",
    (FetchResult, "check_assignment"): "(self, tp)",
    (FetchResult, "_update_position"): "(self)",
    (FetchError, "check_raise"): "(self)",
    (SubscriptionState, "is_assigned"): "(self, tp)",
    (Assignment, "state_value"): "(self, tp)",
    (SubscriptionState, "fetch_context"): "(self)",
}

# Attributes that are read or set on instances.
CONSUMER_STATE = {"_acked", "_committed_offset", "_read_offset", "_unacked_messages"}
AIOKAFKA_CONSUMER = {
    "_auto_offset_reset",
    "_closed",
    "_coordinator",
    "_fetch_max_wait_ms",
    "_fetch_min_bytes",
    "_fetcher",
    "_max_partition_fetch_bytes",
    "_subscription",
}
AIOKAFKA_FETCHER = {
    "_closed",
    "_fetch_waiters",
    "_prefetch_backoff",
    "_records",
    "_subscriptions",
    "_wait_consume_future",
}

TP = TopicPartition("shop.orders", 0)


def assigned() -> SubscriptionState:
    """Return a subscription with one assigned partition."""
    subscriptions = SubscriptionState()
    subscriptions.subscribe({TP.topic})
    subscriptions.assign_from_subscribed({TP})
    return subscriptions


async def fetcher_of(subscriptions: SubscriptionState) -> Fetcher:
    """Provide a fetcher that never reaches a broker."""
    loop = asyncio.get_running_loop()
    cluster = SimpleNamespace(leader_for_partition=lambda _: None)
    client: Any = SimpleNamespace(
        _loop=loop, _metadata_max_age_ms=1000, cluster=cluster, force_metadata_update=loop.create_future
    )
    return Fetcher(client, subscriptions, prefetch_backoff=0.1)


def test_the_installed_versions_are_those_that_were_read(project: Path) -> None:
    assert {package: version(package) for package in READ} == READ
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"faust-streaming=={READ['faust-streaming']}" in declared
    locked = (project / "requirements" / "runtime.txt").read_text()
    assert all(f"\n{package}=={number} " in f"\n{locked}" for package, number in READ.items())


@pytest.mark.parametrize(("owner", "name"), SIGNATURES, ids=lambda each: getattr(each, "__name__", each))
def test_a_method_is_called_as_it_was(owner: type, name: str) -> None:
    signature = inspect.signature(getattr(owner, name))
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[owner, name]


def test_the_producer_numbers_records_under_these_names() -> None:
    """`Producer.take_back` decrements a number, which is right while a batch gets its number once, when it is sent."""
    assert kafka_errors.for_code(InvalidRecordError.errno) is InvalidRecordError
    assert "self._txn_manager = " in inspect.getsource(aiokafka.AIOKafkaProducer.__init__)

    async def number() -> int:
        numbers = TransactionManager(None, 60_000)
        numbers.increment_sequence_number(TP, 5)
        numbers.increment_sequence_number(TP, -2)
        return int(numbers.sequence_number(TP))

    assert asyncio.run(number()) == 3
    leaves = inspect.getsource(MessageAccumulator._pop_batch)
    assert "not_retry = batch.retry_count == 0" in leaves
    assert "self._txn_manager.increment_sequence_number(batch.tp, batch.record_count)" in leaves
    assert "batch.failure(exception=exc)" in inspect.getsource(SendProduceReqHandler.handle_response)


def test_fausts_consumer_keeps_its_state_under_these_names() -> None:
    assert {*BaseConsumer.__annotations__} >= CONSUMER_STATE
    assert BaseConsumer._n_acked == 0
    assert BaseConsumer._waiting_for_ack is None
    assert AIOKafkaConsumerThread._consumer is None
    drains = inspect.getsource(BaseConsumer._drain_messages)
    assert "self.wait_first(" in drains
    assert "callback(message), self.suspend_flow.wait()" in drains
    assert "r_offset is None or offset >= r_offset" in drains


def test_faust_still_seeks_before_it_resumes_after_a_rebalance() -> None:
    from faust.tables.recovery import Recovery  # noqa: PLC0415

    for method in (Recovery._resume_streams, Recovery.on_recovery_completed):
        source = inspect.getsource(method)
        assert 0 < source.index("consumer.perform_seek()") < source.index("consumer.resume_flow()")
        assert source.index("consumer.resume_flow()") < source.index("on_rebalance_end()")


def test_an_app_and_its_messages_have_the_attributes_in_use() -> None:
    assert {"consumer_generation_id", "rebalancing"} <= {*dir(App)}
    assert {"acked", "generation_id", "offset", "tp"} <= {*Message.__slots__}
    assert isinstance(App.transport, property)
    assert App.transport.fset is not None
    assert Transport.Consumer is Consumer


def test_aiokafkas_consumer_and_fetcher_keep_their_state_under_these_names() -> None:
    async def attributes() -> tuple[set[str], set[str], object]:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1", fetch_max_wait_ms=7)
        fetcher = await fetcher_of(assigned())
        names = {*vars(consumer)}, {*vars(fetcher)}, consumer._fetch_max_wait_ms
        await fetcher.close()
        consumer._closed = True  # avoids a warning that it was never stopped
        return names

    consumer, fetcher, wait = asyncio.run(attributes())
    assert consumer >= AIOKAFKA_CONSUMER
    assert fetcher >= AIOKAFKA_FETCHER
    assert wait == 7


def test_aiokafka_hands_its_settings_to_the_fetcher_only_when_it_starts() -> None:
    source = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    for name in ("fetch_max_wait_ms", "fetch_min_bytes", "max_partition_fetch_bytes", "auto_offset_reset"):
        assert f"{name}=self._{name}" in source


def test_the_transports_readers_replace_those_of_aiokafka() -> None:
    fetch = inspect.getsource(Fetcher._proc_fetch_request)
    assert "records = MemoryRecords(part_data[-1])" in fetch
    assert "if records.has_next():" in fetch
    given = "tp, records, aborted_transactions, fetch_offset, self._key_deserializer, self._value_deserializer"
    assert f"PartitionRecords( {given}," in " ".join(fetch.split())
    assert Fetcher._proc_fetch_request.__closure__ is None
    assert Fetcher._proc_fetch_request.__defaults__ is None
    # Attributes that are read, and the effect of reading from a result.
    assert {*inspect.signature(FetchResult).parameters} == {"tp", "assignment", "partition_records", "backoff"}
    for method in (FetchResult.check_assignment, FetchResult._update_position):
        assert "self._partition_records.next_fetch_offset" in inspect.getsource(method)
    taking = inspect.getsource(Fetcher.fetched_records)
    assert taking.count("self._notify(self._wait_consume_future)") == 2
    assert "if not self._subscriptions.is_assigned(tp):" in taking


def test_aiokafkas_parsers_give_the_fields_of_a_batch() -> None:
    data = batch([record(0, b"value", b"key", [(b"a", None)])])
    parsed = DefaultRecordBatch(memoryview(data))
    assert DefaultRecordBatch.__module__ == "aiokafka.record._crecords.default_records"  # not the slow one
    assert (parsed.base_offset, parsed.last_offset_delta, parsed.next_offset) == (0, 0, 1)
    assert (parsed.first_timestamp, parsed.max_timestamp, parsed.timestamp_type) == (0, 0, 0)
    assert parsed.validate_crc()
    assert not parsed.is_control_batch
    (one,) = parsed
    assert (one.offset, one.timestamp, one.timestamp_type, one.key, one.value) == (0, 0, 0, b"key", b"value")
    assert (one.headers, one.checksum) == ([("a", None)], None)


def test_a_seek_makes_the_position_valid_and_keeps_the_old_high_watermark() -> None:
    async def seek() -> TopicPartitionState:
        subscriptions = assigned()
        state = subscriptions.subscription.assignment.state_value(TP)
        assert not state.has_valid_position
        state.highwater = 9
        subscriptions.seek(TP, 9)
        assert subscriptions.reassignment_in_progress in {True, False}
        return state

    state = asyncio.run(seek())
    assert state.has_valid_position
    assert (state.position, state.highwater) == (9, 9)  # so the transport resets the high watermark

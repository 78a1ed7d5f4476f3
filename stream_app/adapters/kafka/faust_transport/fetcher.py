"""aiokafka's fetcher with our readers in place of its own, and what is taken from it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from types import FunctionType, MethodType
from typing import Any

from aiokafka.consumer.fetcher import FetchError
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.batches import TAKEN_BYTES, TAKEN_RECORDS, Batches, FetchedBytes, Taken
from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker


def responding(fetcher: Any, faults: Faults, unpacker: Unpacker) -> MethodType:
    """The fetcher's method that takes in a response, with readers that step over what cannot be read.

    It is the same code with two other global names, so that no other consumer is affected.
    """

    def batches(tp: TP, records: FetchedBytes, _: Any, position: int, *__: Any) -> Batches:
        return Batches(TP(*tp), records.data, position, faults, unpacker)

    method = fetcher._proc_fetch_request.__func__
    names = {**method.__globals__, "MemoryRecords": FetchedBytes, "PartitionRecords": batches}
    return MethodType(FunctionType(method.__code__, names, method.__name__), fetcher)


def drain(fetcher: Any, wanted: AbstractSet[TP]) -> dict[TP, list[Taken]]:
    """Take a bounded part of the records that have come for some partitions, as aiokafka's `getmany` does.

    Raises what a broker has answered instead of records, and TooManyUnreadable.
    """
    records: dict[TP, list[Taken]] = {}
    size = count = 0
    for tp, result in list(fetcher._records.items()):
        if tp not in wanted:
            if not fetcher._subscriptions.is_assigned(tp):
                del fetcher._records[tp]
            continue
        if size >= TAKEN_BYTES or count >= TAKEN_RECORDS or (records and isinstance(result, FetchError)):
            break  # comes next time
        done = True
        if isinstance(result, FetchError):
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
            result.check_raise()
        elif result.check_assignment(tp):
            batches: Batches = result._partition_records
            records[tp], taken_bytes = batches.take(result._assignment.state_value(tp).highwater)
            result._update_position()
            size, count, done = size + taken_bytes, count + len(records[tp]), batches.done
        if done:
            del fetcher._records[tp]
            fetcher._notify(fetcher._wait_consume_future)
    return records

"""Replaces the readers in aiokafka's fetcher, and takes the fetched records."""

from __future__ import annotations

from collections.abc import Sequence, Set as AbstractSet
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import FetchError
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.batches import TAKEN_BYTES, TAKEN_RECORDS, Batches, FetchedBytes
from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
from stream_app.core.messages.dead_letters import Record


class Fetched(NamedTuple):
    """Records of one partition from one fetch, with the positions before and after them.

    Consecutive values of a partition are contiguous: each starts where the previous one ended, and the first one after
    an assignment starts at the position that was sought. Offsets in between may have gaps (compaction, transactions).

    Attributes:
        start: position from which the records were fetched.
        records: records in order of offset; `Unreadable` replaces unreadable ones. Empty if the fetch
            only showed that the consumer has reached the end of the partition.
        end: next position.
        high_watermark: end of the partition according to its last fetch response.
    """

    start: int
    records: Sequence[Record]
    end: int
    high_watermark: int


def responding(fetcher: Any, faults: Faults, unpacker: Unpacker) -> MethodType:
    """Return the fetcher's method that handles responses, with readers that skip unreadable batches.

    The method runs the same code with two global names replaced, so other consumers are not affected.
    """

    def batches(tp: TP, records: FetchedBytes, _: Any, position: int, *__: Any) -> Batches:
        return Batches(TP(*tp), records.data, position, faults, unpacker)

    method = fetcher._proc_fetch_request.__func__
    names = {**method.__globals__, "MemoryRecords": FetchedBytes, "PartitionRecords": batches}
    return MethodType(FunctionType(method.__code__, names, method.__name__), fetcher)


def drain(fetcher: Any, wanted: AbstractSet[TP]) -> dict[TP, list[Record]]:
    """Return fetched records of the given partitions up to a limit, as aiokafka's `getmany` does.

    Raises TooManyUnreadable, and any error that a broker returned instead of records.
    """
    records: dict[TP, list[Record]] = {}
    size = count = 0
    for tp, result in list(fetcher._records.items()):
        if tp not in wanted:
            if not fetcher._subscriptions.is_assigned(tp):
                del fetcher._records[tp]
            continue
        if size >= TAKEN_BYTES or count >= TAKEN_RECORDS or (records and isinstance(result, FetchError)):
            break  # returned by the next call
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

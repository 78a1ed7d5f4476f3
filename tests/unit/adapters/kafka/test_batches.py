"""Record batches as the transport reads them from the bytes of a fetch: good ones, broken ones and bombs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from faust.types import TP

from stream_app.adapters.kafka.faust_transport.batches import Batches, FetchedBytes
from stream_app.adapters.kafka.faust_transport.faults import MOST, WITHIN_SECONDS, Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
from stream_app.core.messages.dead_letters import DeadLetter, Record, dead_letter
from stream_app.core.messages.decoding import AT_ONCE, decode_record
from stream_app.core.messages.unreadable import Unreadable
from stream_app.errors import MissingCodec, TooManyUnreadable
from tests.harness.raw_kafka import batch, pack, record, varint

ORDERS = TP("shop.orders", 3)
PACKED = ("none", "gzip", "snappy", "xerial", "lz4", "zstd")
GOOD = [record(index, b"value %d" % index, b"key", [(b"a", b"b"), (b"c", None)]) for index in range(3)]


UNPACKER = Unpacker()


class Reader:
    """Reads bytes as often as the transport would fetch them."""

    def __init__(self, position: int = 0, high_watermark: int | None = None) -> None:
        self.position, self.high_watermark = position, high_watermark
        self.skipped = 0
        self.now = 0.0
        self.faults = Faults(self.note, lambda: self.now)
        self.left = b""

    def note(self) -> None:
        self.skipped += 1

    def fetch(self, data: bytes) -> list[Record]:
        """What one fetch response gives."""
        batches = Batches(ORDERS, data, self.position, self.faults, UNPACKER)
        taken: list[Record] = []
        while not batches.done:
            taken += batches.take(self.high_watermark)[0]
        self.position, self.left = batches.next_fetch_offset, data[batches._at :]
        return taken

    def read(self, data: bytes) -> list[Record]:
        """What a fetch and the one after it give, which begins with the batch that is next."""
        return self.fetch(data) + self.fetch(self.left)


def told(taken: list[Record]) -> list[tuple[int, bytes | None]]:
    """Offset and value; what is unreadable has none."""
    return [(one.offset, one.value) for one in taken]


def fields(record: Record) -> tuple[object, ...]:
    """Everything that is read of a record."""
    return record.offset, record.timestamp, record.key, record.value, tuple(record.headers)


def stock(data: bytes) -> list[Any]:
    return list(PartitionRecords(ORDERS, MemoryRecords(data), [], 0, None, None, True, READ_UNCOMMITTED))


@pytest.mark.parametrize("codec", PACKED)
def test_good_batches_are_read_as_aiokafka_reads_them(codec: str) -> None:
    data = batch(GOOD, codec) + batch(GOOD, codec, base=3) + batch([record(0, None)], codec, base=6)
    reader = Reader(high_watermark=7)
    assert list(map(fields, reader.fetch(data))) == list(map(fields, stock(data)))
    assert (reader.position, reader.skipped) == (7, 0)


@pytest.mark.parametrize("codec", PACKED)
def test_a_position_within_a_batch_and_a_response_that_is_cut_lose_and_double_nothing(codec: str) -> None:
    data = batch(GOOD, codec) + batch(GOOD, codec, base=3)
    reader = Reader(position=1)
    assert [one.offset for one in reader.fetch(data[:-1])] == [1, 2]
    assert [one.offset for one in reader.fetch(reader.left + data[-1:])] == [3, 4, 5]


def test_what_is_empty_compacted_or_of_the_broker_itself_is_stepped_over() -> None:
    control = bytearray(batch(GOOD))
    control[22] |= 0x20
    control[17:21] = unpacking_crc(bytes(control))
    compacted = batch([record(2, b"two"), record(4, b"four")], last_delta=9)
    reader = Reader()
    assert told(reader.fetch(bytes(control))) == []
    assert reader.position == 3
    reader = Reader()
    assert told(reader.fetch(compacted)) == [(2, b"two"), (4, b"four")]
    assert told(reader.fetch(batch([], base=10, last_delta=2))) == []
    assert (reader.position, reader.skipped) == (13, 0)


def unpacking_crc(data: bytes) -> bytes:
    from aiokafka.record.util import calc_crc32c  # noqa: PLC0415

    return int(calc_crc32c(data[21:])).to_bytes(4, "big")


WHOLE = {
    "checksum": (batch(GOOD, crc=1), "the checksum does not match"),
    "codec": (batch(GOOD, "gzip", packed=b"garbage" * 9), "invalid gzip header"),
    "cut short": (batch(GOOD, "zstd", packed=pack("zstd", b"".join(GOOD))[:-4]), "incomplete frame"),
    "snappy block": (batch(GOOD, "xerial", packed=pack("xerial", b"".join(GOOD))[:-1]), "a snappy block is truncated"),
    "version": (batch(GOOD, magic=5), "version 5"),
    "count": (batch(GOOD, count=-2, last_delta=2), "it has -2 records"),
    "too many": (batch([record(0, None)] * 100_001, "gzip", last_delta=2), "the limit is 100000"),
    "bomb": (batch([record(0, bytes(64 << 20))], "gzip", last_delta=2), "failed to write whole buffer"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_batch_that_cannot_be_opened_is_skipped_as_a_whole_at_the_second_failure(case: str) -> None:
    bad, reason = WHOLE[case]
    data = batch(GOOD) + bad.replace(bytes(8), (3).to_bytes(8, "big"), 1) + batch(GOOD, base=6)
    reader = Reader(high_watermark=9)
    assert [one.offset for one in reader.fetch(data)] == [0, 1, 2]  # what lies before it is not held up
    assert (reader.position, reader.skipped) == (3, 0)
    lost, *after = reader.fetch(reader.left)
    assert isinstance(lost, Unreadable)
    assert (lost.offset, lost.value, reader.skipped) == (3, None, 1)
    assert reason in lost.reason
    assert lost.raw is not None
    assert lost.raw[8:] == bad[8 : 1 << 20]
    assert told(after) == [(6, b"value 0"), (7, b"value 1"), (8, b"value 2")]
    assert reader.position == 9


def raw(body: bytes) -> bytes:
    return varint(len(body)) + body


SINGLE = {
    "header": (record(1, b"bad", b"key", [(b"\xff\xfe", b"x")]), "not UTF-8"),
    "delta": (record(1, b"bad", delta=1000), "has offset 1000"),
    "negative delta": (record(1, b"bad", delta=-7), "has offset -7"),
    "repeated delta": (record(1, b"bad", delta=0), "has offset 0"),
    "tail": (record(1, b"bad", tail=b"zz"), "2 bytes are left"),
    "headers": (record(1, b"bad", headers_count=5), "index out of bounds"),
    "header bomb": (record(1, b"bad", headers_count=300_000, tail=b"\0\1" * 300_000), "300000 headers"),
    "nameless header": (record(1, b"bad", headers_count=1, tail=varint(-1) + varint(-1)), "has no name"),
    "endless number": (raw(b"\0" + b"\xff" * 12), "a number has no end"),
    "huge key": (raw(b"\0" + varint(0) + varint(1) + varint((1 << 63) - 40)), "longer than the record"),
    "large": (record(1, bytes(3 << 20)), "more than 2097152"),
}


@pytest.mark.parametrize("codec", PACKED)
@pytest.mark.parametrize("case", SINGLE)
def test_of_a_batch_with_one_bad_record_the_others_are_taken(case: str, codec: str) -> None:
    bad, reason = SINGLE[case]
    data = batch([record(0, b"a"), bad, record(2, b"c")], codec)
    reader = Reader()
    first, lost, last = reader.read(data)
    assert told([first, lost, last]) == [(0, b"a"), (1, None), (2, b"c")]
    assert isinstance(lost, Unreadable)
    assert reason in lost.reason
    assert (reader.position, reader.skipped) == (3, 1)


def test_a_batch_that_breaks_off_gives_what_lies_before_and_keeps_the_rest() -> None:
    data = batch([record(0, b"a"), varint(90) + b"rest"], count=3, codec="gzip")
    reader = Reader()
    first, lost = reader.read(data)
    assert told([first, lost]) == [(0, b"a"), (1, None)]
    assert isinstance(lost, Unreadable)
    assert lost.raw == varint(90) + b"rest"
    assert reader.position == 3


def test_bytes_after_the_last_record_cost_nothing_but_a_line() -> None:
    reader = Reader()
    assert told(reader.read(batch([*GOOD, b"junk"], count=3))) == told(Reader().fetch(batch(GOOD)))
    assert reader.skipped == 1


@pytest.mark.parametrize("length", [-5, 0, 3, 48, 10_000])
def test_a_wrong_length_of_a_batch_is_stepped_over(length: int) -> None:
    reader = Reader(high_watermark=9)
    reader.read(batch(GOOD, length=length))
    assert (reader.position, reader.skipped) == (3, 1)


@pytest.mark.parametrize("base", [-9, 1 << 40])
def test_a_base_offset_that_cannot_be_moves_the_position_neither_back_nor_away(base: int) -> None:
    reader = Reader(position=3, high_watermark=9)
    (lost,) = reader.read(batch(GOOD, base=base))
    assert isinstance(lost, Unreadable)
    assert (lost.offset, reader.position) == (3, 4)
    reader = Reader(position=3, high_watermark=9)
    taken = reader.read(batch(GOOD, base=base) + batch(GOOD, base=6))
    assert [one.offset for one in taken] == [3, 6, 7, 8]
    assert reader.position == 9


def test_a_failure_that_does_not_come_again_skips_nothing() -> None:
    reader = Reader()
    assert reader.fetch(batch(GOOD, crc=1)) == []
    assert len(reader.fetch(batch(GOOD))) == 3
    assert reader.skipped == 0


def test_memory_that_runs_out_is_no_fault_of_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    monkeypatch.setattr("stream_app.adapters.kafka.faust_transport.batches.records_of", exhausted)
    assert reader.fetch(batch(GOOD)) == []
    with pytest.raises(MemoryError):
        reader.fetch(batch(GOOD))
    assert (reader.position, reader.skipped) == (0, 0)


def exhausted(*_: object) -> list[Any]:
    raise MemoryError


def test_more_than_a_hundred_bad_batches_in_ten_minutes_end_the_service() -> None:
    reader = Reader()
    bad = [batch(GOOD, crc=1, base=3 * number) for number in range(2 * MOST + 2)]
    for one in bad[:MOST]:
        reader.read(one)
    reader.now = WITHIN_SECONDS + 1  # all that is forgotten
    for one in bad[MOST : 2 * MOST]:
        reader.read(one)
    assert reader.skipped == 2 * MOST
    with pytest.raises(TooManyUnreadable, match=r"shop\.orders\[3\], offsets 600 to 602: the checksum"):
        reader.read(bad[2 * MOST])


def test_what_is_taken_at_once_is_bounded() -> None:
    empty = [record(index, None) for index in range(40_000)]
    data = b"".join(batch(empty, "zstd", base=40_000 * number) for number in range(5))
    batches = Batches(ORDERS, data, 0, Reader().faults, Unpacker())
    taken = []
    while not batches.done:
        taken.append(len(batches.take(None)[0]))
    assert taken == [120_000, 80_000]
    assert sum(taken) == batches.next_fetch_offset


BOMBS = """
import resource, sys
from faust.types import TP
from stream_app.adapters.kafka.faust_transport.batches import Batches
from stream_app.adapters.kafka.faust_transport.faults import Faults
from stream_app.adapters.kafka.faust_transport.unpacking import Unpacker
faults, unpacker = Faults(lambda: None), Unpacker()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    data = open(name, "rb").read()
    for _ in range(2):
        Batches(TP("t", 0), data, 0, faults, unpacker).take(None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("codec", ["gzip", "snappy", "xerial", "lz4", "zstd"])
def test_no_batch_takes_more_memory_than_it_may(codec: str, tmp_path: Any) -> None:
    size = 300 << 20 if codec in {"gzip", "zstd"} else 200 << 20
    bombs = {
        "zeros": batch([], codec, packed=pack(codec, record(0, bytes(size))), count=1),
        "tiny": batch([], codec, packed=pack(codec, record(0, None) * 4_000_000), count=4_000_000),
        "headers": batch([record(0, b"", headers_count=14_000_000, tail=b"\0\1" * 14_000_000)], codec),
        "fields": batch([record(index, b"", headers_count=900, tail=b"\0\1" * 900) for index in range(15_000)], codec),
    }
    names = []
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
        names.append(str(tmp_path / name))
    child = subprocess.run([sys.executable, "-c", BOMBS, *names], capture_output=True, text=True, check=True)
    assert int(child.stdout) < 200_000  # KB


@pytest.mark.parametrize("codec", [0, 1, 2, 3])
@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_old_brokers_are_read(magic: int, codec: int) -> None:
    if (magic, codec) == (0, 3):
        pytest.skip("its lz4 had a frame of its own")
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for index in range(3):
        builder.append(index, timestamp=1000 + index, key=b"key", value=b"value %d" % index)
    data = bytes(builder.build())
    if codec:  # the broker gives the wrapper the offset of the last message
        data = (2).to_bytes(8, "big") + data[8:]
    reader = Reader()
    assert told(reader.fetch(data)) == [(index, b"value %d" % index) for index in range(3)]
    assert [(one.offset, one.value, one.timestamp or 0) for one in stock(data)] == [
        (one.offset, one.value, one.timestamp) for one in Reader().fetch(data)
    ]
    assert reader.position == 3
    broken = bytearray(data)
    broken[-1] ^= 1
    assert isinstance(Reader().read(bytes(broken))[-1], Unreadable)


def test_what_is_unreadable_goes_to_the_dead_letters_as_far_as_it_can_be_read() -> None:
    taken = Reader().read(batch([record(0, b"{}", b"anna", [(b"\xff", b"x")])]))
    items, times = decode_record("orders", taken, 0)
    (dead,) = items
    assert isinstance(dead, DeadLetter)
    assert times == [AT_ONCE]
    message = dead_letter(dead, "shop.orders", 3)
    headers = dict(message.headers)
    assert (message.key, message.value) == (b"anna", b"{}")
    assert headers["\ufffd"] == b"x"
    assert headers["kafka_dlt-original-offset"] == b"0"
    assert headers["kafka_dlt-exception-message"] == b"the name of a header is not UTF-8"


def test_a_codec_that_is_missing_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cramjam", None)
    with pytest.raises(MissingCodec, match="pip install") as refused:
        Unpacker()
    assert refused.value.exit_code == 2


def test_an_empty_answer_holds_nothing() -> None:
    assert not FetchedBytes(None).has_next()
    assert not FetchedBytes(b"").has_next()
    assert FetchedBytes(b"x").has_next()


def test_any_bytes_end_with_a_position_that_has_moved() -> None:
    """Every byte of a batch, changed."""
    data = batch([record(0, b"a"), record(1, b"b", headers=[(b"h", b"x")])], "none")
    for place, bit in ((place, bit) for place in range(len(data)) for bit in (1, 0x80)):
        broken = bytearray(data)
        broken[place] ^= bit
        reader = Reader(high_watermark=5)
        taken = reader.read(bytes(broken))
        offsets = [one.offset for one in taken]
        assert offsets == sorted(set(offsets))
        assert 0 < reader.position <= 5


def test_every_byte_of_the_records_may_be_wrong() -> None:
    """As above, with a checksum that matches."""
    payload = b"".join([record(0, b"a" * 20), record(1, b"b", headers=[(b"h", b"x")]), record(2, b"c")])
    for codec, place in ((codec, place) for codec in ("none", "gzip") for place in range(len(payload))):
        broken = bytearray(payload)
        broken[place] ^= 0xFF
        reader = Reader(high_watermark=3)
        taken = reader.read(batch([bytes(broken)], codec, count=3))
        offsets = [one.offset for one in taken]
        assert offsets == sorted(set(offsets))
        assert set(offsets) <= {0, 1, 2}
        assert offsets[0] == 0
        assert reader.position == 3

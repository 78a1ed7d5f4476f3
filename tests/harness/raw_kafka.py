"""Encoder of record batches and a raw producer, for batches that no client library writes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from aiokafka import codec as codecs
from aiokafka.record.util import calc_crc32c, encode_varint

# Codec -> its number in the attributes of a batch, and its compression. Java writes snappy in blocks (`xerial`).
CODECS: Final[dict[str, tuple[int, Callable[[bytes], bytes]]]] = {
    "none": (0, bytes),
    "gzip": (1, partial(codecs.gzip_encode, compresslevel=1)),
    "snappy": (2, partial(codecs.snappy_encode, xerial_compatible=False)),
    "xerial": (2, codecs.snappy_encode),
    "lz4": (3, codecs.lz4_encode),
    "zstd": (4, codecs.zstd_encode),
}


def varint(number: int) -> bytes:
    """Encode a zigzag number of variable length."""
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def field(content: bytes | None) -> bytes:
    """Encode bytes with their length in front."""
    return varint(-1) if content is None else varint(len(content)) + content


def record(
    index: int,
    value: bytes | None,
    key: bytes | None = None,
    headers: Sequence[tuple[bytes, bytes | None]] = (),
    **wrong: Any,
) -> bytes:
    """Encode a record; `delta`, `length` and `headers_count` may be wrong, and `tail` is appended."""
    body = b"\x00" + varint(0) + varint(wrong.get("delta", index)) + field(key) + field(value)
    body += varint(wrong.get("headers_count", len(headers)))
    body += b"".join(field(name) + field(content) for name, content in headers) + wrong.get("tail", b"")
    return varint(wrong.get("length", len(body))) + body


def pack(codec: str, payload: bytes) -> bytes:
    return bytes(CODECS[codec][1](payload))


def batch(records: Sequence[bytes], codec: str = "none", packed: bytes | None = None, **wrong: Any) -> bytes:
    """Encode a record batch; `count`, `last_delta`, `magic`, `crc`, `base` and `length` may be wrong."""
    payload = pack(codec, b"".join(records)) if packed is None else packed
    count = wrong.get("count", len(records))
    head = (CODECS[codec][0], wrong.get("last_delta", count - 1), 0, 0, -1, -1, -1, count)
    checked = struct.pack(">hiqqqhii", *head) + payload
    crc = wrong.get("crc", calc_crc32c(checked))
    after = struct.pack(">ibI", -1, wrong.get("magic", 2), crc) + checked
    return struct.pack(">qi", wrong.get("base", 0), wrong.get("length", len(after))) + after


def send(bootstrap: str, topic: str, partition: int, data: bytes) -> int:
    """Produce raw bytes, and return the broker's error code; 0 if it accepted them."""
    host, port = bootstrap.rsplit(":", 1)
    name = topic.encode()
    body = struct.pack(">hhih", 0, 7, 1, 3) + b"raw"
    body += struct.pack(">hhi", -1, -1, 10_000)
    body += struct.pack(">ih", 1, len(name)) + name + struct.pack(">iii", 1, partition, len(data)) + data
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            answer += connection.recv(65536)
    return int(struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + len(name) + 4 + 4)[0])

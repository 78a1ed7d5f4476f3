"""Record batches as bytes, and a producer that sends any bytes: client libraries do not write such batches."""

from __future__ import annotations

import gzip
import socket
import struct
from collections.abc import Sequence
from typing import Any

import cramjam
from aiokafka.record.util import calc_crc32c

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
XERIAL = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"


def varint(number: int) -> bytes:
    """Encode a zigzag number of variable length."""
    left = (number << 1) ^ (number >> 63) if number < 0 else number << 1
    left &= (1 << 64) - 1
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])


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
    """Compress a payload; `xerial` is snappy in blocks, as Java writes it."""
    if codec == "gzip":
        return gzip.compress(payload, compresslevel=1)
    if codec == "xerial":
        blocks = [bytes(cramjam.snappy.compress_raw(payload[at : at + 32768])) for at in range(0, len(payload), 32768)]
        return XERIAL + b"".join(struct.pack(">i", len(block)) + block for block in blocks)
    if codec == "snappy":
        return bytes(cramjam.snappy.compress_raw(payload))
    if codec == "lz4":
        compressor = cramjam.lz4.Compressor(content_checksum=False, block_linked=False)  # the broker reads no others
        compressor.compress(payload)
        return bytes(compressor.finish())
    return bytes(cramjam.zstd.compress(payload)) if codec == "zstd" else payload


def batch(records: Sequence[bytes], codec: str = "none", packed: bytes | None = None, **wrong: Any) -> bytes:
    """Encode a record batch; `count`, `last_delta`, `magic`, `crc`, `base` and `length` may be wrong."""
    payload = pack(codec, b"".join(records)) if packed is None else packed
    count = wrong.get("count", len(records))
    attributes = CODECS["snappy" if codec == "xerial" else codec]
    checked = (
        struct.pack(">hiqqqhii", attributes, wrong.get("last_delta", count - 1), 0, 0, -1, -1, -1, count) + payload
    )
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

"""Whole record batches that no client library writes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Final

from tests.harness.hostile.maker import Maker
from tests.harness.raw_kafka import batch, field, record, varint

_BOMB_BYTES: Final = 300_000_000


def _bomb(maker: Maker) -> bytes:
    """Return a few hundred KB that decompress to 300 MB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = b"\x00" + varint(0) + varint(0) + field(None) + varint(_BOMB_BYTES)
    tail = varint(0)
    parts = [packer.compress(varint(len(head) + _BOMB_BYTES + len(tail)) + head)]
    chunk = bytes(1_000_000)
    parts += [packer.compress(chunk) for _ in range(_BOMB_BYTES // len(chunk))]
    parts += [packer.compress(tail), packer.flush()]
    return batch([b""], "gzip", b"".join(parts))


def _gzip(records: Sequence[bytes]) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return batch(records, "gzip", packer.compress(b"".join(records)) + packer.flush())


BATCHES: Final[dict[str, Callable[[Maker], bytes]]] = {
    # A header whose name is not UTF-8, and the same compressed.
    "header name": lambda maker: batch([record(0, b"{}", maker.customer.encode(), [(b"\xff\xfe", b"x")])]),
    "packed header name": lambda maker: _gzip([record(0, b"{}", maker.customer.encode(), [(b"\xff", b"x")])]),
    "null header": lambda _: batch([record(0, b"{}", None, [(b"name", None)])]),
    # A record whose offset is far behind its batch.
    "offset": lambda maker: batch([record(0, b"{}", maker.customer.encode(), delta=1_000)]),
}
BOMBS: Final[dict[str, Callable[[Maker], bytes]]] = {
    "bomb": _bomb,
    # Some KB that decompress to a hundred thousand empty records.
    "crowd": lambda _: _gzip([record(index, None) for index in range(100_000)]),
}

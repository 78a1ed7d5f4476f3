"""The four codecs of Kafka, unpacked into memory of a fixed size."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Callable
from typing import Any, Final

from stream_app.errors import MissingCodec

# A broker takes 1 MiB of a producer unless told otherwise, and events in JSON pack 5 to 20 times: no honest batch holds
# more. 440 KB of gzip hold 450 MB of zeros, and a worker with 1 GiB ended with every start.
MAX_UNPACKED_BYTES: Final = 32 << 20
# The library reads a few bytes past the end of a batch that breaks off inside a number.
PADDING: Final = 64

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4  # as the attributes of a batch name them
_NAMES: Final = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
# Java and kafka-python write snappy in blocks behind this header, with two numbers of 4 bytes after it; librdkafka and
# Go write one raw block.
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_LENGTH_BYTES: Final = 4

Decompress = Callable[[Any, memoryview], int]  # the packed bytes, where to; returns how many it wrote


def require_codecs() -> dict[int, Decompress]:
    """Return the decoder of each codec.

    Raises MissingCodec: else every batch of that codec would be taken for a bad one.
    """
    found: dict[int, Decompress] = {}
    for codec, name in _NAMES.items():
        try:
            module = getattr(importlib.import_module("cramjam"), name)
            found[codec] = module.decompress_raw_into if codec == SNAPPY else module.decompress_into
        except (ImportError, AttributeError) as error:
            raise MissingCodec(codec=name, problem=str(error)) from error
    return found


class Unpacker:
    """Unpacks one batch after the other into the same memory, which is taken once and only as far as it is used."""

    def __init__(self) -> None:
        self._decoders = require_codecs()
        self._memory = memoryview(mmap.mmap(-1, MAX_UNPACKED_BYTES + PADDING))

    def unpack(self, codec: int, packed: memoryview, head: bytes | bytearray = b"") -> memoryview:
        """The unpacked bytes behind `head`; valid until the next call.

        Raises ValueError for an unknown codec, and what the codec raises if the bytes are wrong or too many.
        """
        if codec not in self._decoders:
            raise ValueError(f"the codec {codec} is unknown")
        start = len(head)
        self._memory[:start] = head
        room = self._memory[start:MAX_UNPACKED_BYTES]
        if codec == SNAPPY and bytes(packed[: len(_XERIAL)]) == _XERIAL:
            size = self._unpack_blocks(packed[_XERIAL_HEADER_BYTES:], room)
        else:
            size = self._decoders[codec](packed, room)
        return self._memory[: start + size]

    def _unpack_blocks(self, packed: memoryview, room: memoryview) -> int:
        written = 0
        while packed:
            size = int.from_bytes(packed[:_LENGTH_BYTES], "big")
            end = _LENGTH_BYTES + size
            if end > len(packed):
                raise ValueError("a block of snappy breaks off")
            written += self._decoders[SNAPPY](packed[_LENGTH_BYTES:end], room[written:])
            packed = packed[end:]
        return written

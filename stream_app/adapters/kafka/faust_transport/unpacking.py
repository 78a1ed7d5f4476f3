"""Decompresses Kafka's four codecs into a buffer of fixed size."""

from __future__ import annotations

import importlib
import mmap
from collections.abc import Callable
from typing import Any, Final

from stream_app.errors import MissingCodec

# By default a broker accepts batches up to 1 MiB, and JSON events compress 5 to 20 times, so no legitimate batch is
# larger. 440 KB of gzip can hold 450 MB of zeros, which crashed a worker with 1 GiB of memory at every start.
MAX_UNPACKED_BYTES: Final = 32 << 20
# The library reads a few bytes past the end of a batch that is cut off inside a number.
PADDING: Final = 64

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4  # by code in the attributes of a batch
_NAMES: Final = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
# Java and kafka-python write snappy in blocks after this header and two 4-byte numbers. librdkafka and Go write one raw
# block.
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
_LENGTH_BYTES: Final = 4


class Unpacker:
    """Decompressor with one buffer for all batches; the operating system allocates only the pages that are used.

    Raises:
        MissingCodec: a decompressor is missing; every batch of that codec would seem unreadable.
    """

    def __init__(self) -> None:
        self._decoders: dict[int, Callable[[Any, memoryview], int]] = {}  # by codec; each returns the bytes written
        for codec, name in _NAMES.items():
            try:
                module = getattr(importlib.import_module("cramjam"), name)
                self._decoders[codec] = module.decompress_raw_into if codec == SNAPPY else module.decompress_into
            except (ImportError, AttributeError) as error:
                raise MissingCodec(codec=name, problem=str(error)) from error
        self._memory = memoryview(mmap.mmap(-1, MAX_UNPACKED_BYTES + PADDING))

    def unpack(self, codec: int, packed: memoryview, head: bytes | bytearray = b"") -> memoryview:
        """Return `head` followed by the decompressed bytes; valid until the next call.

        Raises:
            ValueError: the codec is unknown. Codecs raise exceptions of their own for malformed or too many bytes.
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
                raise ValueError("a snappy block is truncated")
            written += self._decoders[SNAPPY](packed[_LENGTH_BYTES:end], room[written:])
            packed = packed[end:]
        return written

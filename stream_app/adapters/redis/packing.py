"""Packs MessagePack arrays of byte strings in the form that the msgpack library inside Redis reads and writes.

Redis supports the string type of MessagePack but not its binary type, and Python libraries decode strings as text, so
neither side can use a library here. docs/adr/0009-commit.md gives the measurements.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

import msgspec

_LONG_STRING: Final = 0xDB  # header with a 4-byte length; shorter ones exist, but writing only one kind is faster
_LONG_ARRAY: Final = 0xDD
_SHORT_STRINGS: Final = range(0xA0, 0xC0)  # the length is in the header
_HEADERS: Final = {0xD9: 2, 0xDA: 3, _LONG_STRING: 5}  # size of the whole header in bytes, by its first byte
_header: Final = struct.Struct(">BI").pack
_decoder: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])


def pack_strings(strings: Collection[bytes]) -> bytes:
    r"""Pack byte strings into a MessagePack array.

    >>> pack_strings([b"ann", b""])
    b'\xdd\x00\x00\x00\x02\xdb\x00\x00\x00\x03ann\xdb\x00\x00\x00\x00'
    """
    parts = [_header(_LONG_ARRAY, len(strings))]
    for string in strings:
        parts += (_header(_LONG_STRING, len(string)), string)
    return b"".join(parts)


def unpack_strings(packed: bytes) -> list[bytes]:
    r"""Unpack a MessagePack array of byte strings.

    >>> unpack_strings(b"\x92\xa3ann\xd9\x02ed")
    [b'ann', b'ed']
    """
    if packed == b"\x80":  # some versions of Redis pack an empty Lua table as a map
        return []
    raw = map(bytes, _decoder.decode(packed))
    return [string[1 if string[0] in _SHORT_STRINGS else _HEADERS[string[0]] :] for string in raw]

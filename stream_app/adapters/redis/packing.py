"""Lists of byte strings in one argument or reply, as Redis' own msgpack reads and writes them.

It knows strings but not msgpack's later type for bytes, while a msgpack library for Python takes strings for text;
hence these few lines. What they gain stands in docs/adr/0009-commit.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sized
from typing import Final, Protocol

import msgspec

_LONG_STRING: Final = 0xDB  # its length in 4 bytes; shorter headers exist, but all of one kind are faster to write
_LONG_ARRAY: Final = 0xDD
_SHORT_STRINGS: Final = range(0xA0, 0xC0)  # the length is in the header
_HEADERS: Final = {0xD9: 2, 0xDA: 3, _LONG_STRING: 5}  # bytes, by the first of them
_header: Final = struct.Struct(">BI").pack
_decoder: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])


class SizedBytes(Sized, Iterable[bytes], Protocol):
    """Byte strings that can be counted."""


def pack_strings(strings: SizedBytes) -> bytes:
    r"""Byte strings as one.

    >>> pack_strings([b"ann", b""])
    b'\xdd\x00\x00\x00\x02\xdb\x00\x00\x00\x03ann\xdb\x00\x00\x00\x00'
    """
    parts = [_header(_LONG_ARRAY, len(strings))]
    for string in strings:
        parts += (_header(_LONG_STRING, len(string)), string)
    return b"".join(parts)


def unpack_strings(packed: bytes) -> list[bytes]:
    r"""The byte strings of a msgpack array.

    >>> unpack_strings(b"\x92\xa3ann\xd9\x02ed")
    [b'ann', b'ed']
    """
    if packed == b"\x80":  # Lua has one type for lists and maps, and an empty one is packed as a map by some versions
        return []
    raw = map(bytes, _decoder.decode(packed))
    return [string[1 if string[0] in _SHORT_STRINGS else _HEADERS[string[0]] :] for string in raw]

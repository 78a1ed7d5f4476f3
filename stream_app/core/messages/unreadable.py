"""Placeholders for records that the client library cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Kept(NamedTuple):
    """The readable parts of a damaged record; implements `decoding.Record`."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Unreadable(NamedTuple):
    """Placeholder for a record, or a whole batch of records, that the client library cannot read.

    It takes the place of the records in their partition. Its value is None, so that no decoder accepts it. `kept` is
    sent to the dead-letter topic.

    >>> lost = Unreadable(Kept(7, 0, None, b"raw"), "the checksum does not match")
    >>> lost.offset, lost.value, lost.kept.value
    (7, None, b'raw')
    """

    kept: Kept
    reason: str

    @property
    def offset(self) -> int:
        """Offset of the first unreadable record."""
        return self.kept.offset

    @property
    def timestamp(self) -> int:
        """Time when the broker appended the record, milliseconds."""
        return self.kept.timestamp

    @property
    def key(self) -> bytes | None:
        """Record key, or None if it could not be read."""
        return self.kept.key

    @property
    def value(self) -> None:
        """Always None, so that decoders reject it."""
        return

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Record headers; empty if they could not be read."""
        return self.kept.headers

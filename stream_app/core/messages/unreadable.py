"""What stands for records of a topic whose bytes cannot be read as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Kept(NamedTuple):
    """What is left of a record, as `intake.Record` has it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class Unreadable(NamedTuple):
    """A record, or a whole batch of records, that the client library cannot read.

    It takes the place of the records in the order of a partition. Its value is None, so no decoder takes it for a
    message; `kept` is what goes to the dead letters.

    >>> lost = Unreadable(Kept(7, 0, None, b"raw"), "the checksum does not match")
    >>> lost.offset, lost.value, lost.kept.value
    (7, None, b'raw')
    """

    kept: Kept
    reason: str

    @property
    def offset(self) -> int:
        """The first offset that it stands for."""
        return self.kept.offset

    @property
    def timestamp(self) -> int:
        """When the broker appended it, milliseconds."""
        return self.kept.timestamp

    @property
    def key(self) -> bytes | None:
        """The key, where it could be read."""
        return self.kept.key

    @property
    def value(self) -> None:
        """Nothing that a decoder may read."""
        return

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The headers, where they could be read."""
        return self.kept.headers

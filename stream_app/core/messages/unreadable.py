"""Placeholders for records that the client library cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Placeholder for a record, or a whole batch of records, that the client library cannot read.

    It takes the place of the records in their partition, and implements `dead_letters.Record`.

    Attributes:
        offset: offset of the first unreadable record.
        timestamp: time when the broker appended the record, milliseconds.
        key: record key, or None if it cannot be read.
        raw: value of the record or bytes of the batch, sent to the dead-letter topic.
        reason: why the record cannot be read.
        headers: record headers; empty if they cannot be read.
        value: None, so that decoders reject it.
    """

    offset: int
    timestamp: int
    key: bytes | None
    raw: bytes | None
    reason: str
    headers: Sequence[tuple[str, bytes | None]] = ()
    value: bytes | None = None

"""What one fetch brought for one partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.structs import ConsumerRecord

from stream_app.core.messages.unreadable import Unreadable


class Fetched(NamedTuple):
    """The records of one partition that came with one fetch, between two positions.

    The values of one partition form a chain: each starts where the one before ended, and the first one after an
    assignment starts where the partition was sought to. Offsets within need not be gapless (compaction, transactions).

    Attributes:
        start: the position at which this fetch began.
        records: what came, in order of offset; `Unreadable` for what cannot be read. Empty when the partition is only
            now known to be caught up.
        end: the next position, after the records.
        high_watermark: the end of the partition by its own last fetch response.

    >>> Fetched(start=7, records=(), end=7, high_watermark=7).caught_up
    True
    """

    start: int
    records: Sequence[ConsumerRecord | Unreadable]
    end: int
    high_watermark: int

    @property
    def caught_up(self) -> bool:
        """Nothing was left in the partition when it was asked last."""
        return self.end >= self.high_watermark

"""Records of one partition from one fetch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.structs import ConsumerRecord

from stream_app.core.messages.unreadable import Unreadable


class Fetched(NamedTuple):
    """Records of one partition from one fetch, with the positions before and after them.

    Consecutive values of a partition are contiguous: each starts where the previous one ended, and the first one after
    an assignment starts at the position that was sought. Offsets in between may have gaps (compaction, transactions).

    Attributes:
        start: position from which the records were fetched.
        records: records in order of offset; `Unreadable` replaces unreadable ones. Empty if the fetch
            only showed that the consumer has reached the end of the partition.
        end: next position.
        high_watermark: end of the partition according to its last fetch response.
    """

    start: int
    records: Sequence[ConsumerRecord | Unreadable]
    end: int
    high_watermark: int

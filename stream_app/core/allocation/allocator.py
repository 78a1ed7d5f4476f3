"""The desk without its shell: nominations of all partitions in, the day's episodes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from stream_app.core.alerts.lifecycle import AlertCandidate, open_alerts
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outgoing import Outgoing, is_duplicate, pack
from stream_app.core.messages.schema import AllocationDone, encode_message
from stream_app.core.partition import outbox
from stream_app.core.partition.commit import Commit
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Read, unread
from stream_app.core.units import EPOCH, MICROSECOND

NEVER: Final = -(1 << 62)
MOMENTS_AHEAD: Final = 64  # of a partition, kept in memory while a slower one is waited for
NUMBER: Final = -1  # under which the desk stands among the partitions of the store


class AllocatorPosition(msgspec.Struct):
    """How far the desk has come."""

    read: dict[int, Read]
    moment: int  # the latest that it has decided, microseconds
    sequence: int  # of its last contact


def from_the_beginning(position: bytes) -> bytes:
    """A stored position from which all partitions are read from their beginnings; no moment is decided again."""
    found = msgspec.json.decode(position, type=AllocatorPosition)
    return msgspec.json.encode(AllocatorPosition(unread(found.read), found.moment, found.sequence))


@dataclass
class Allocation:
    """One moment of the desk: what is to be committed."""

    commit: Commit
    moment: int
    nominated: int
    opened: int


class Allocator:
    """Merges the lists of all partitions of a moment, and opens the best episodes of them all.

    Args:
        partitions: how many there are.
        settings: of the shop.
        partition_of: where a customer's contacts go.
    """

    def __init__(self, partitions: int, settings: Settings, partition_of: Callable[[str], int]) -> None:
        self.position = AllocatorPosition(dict.fromkeys(range(partitions), Read()), NEVER, 0)
        self._settings = settings
        self._partition_of = partition_of
        self._base = b""
        self._heard: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self._next: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self._waiting: dict[int, deque[tuple[CandidateBatch, Read]]] = {number: deque() for number in range(partitions)}

    def begin(self, position: bytes) -> None:
        """Start from what is stored; nothing, if nothing is."""
        self._base = position
        if position:
            self.position = msgspec.json.decode(position, type=AllocatorPosition)
            self._heard = {number: read.sequence for number, read in self.position.read.items()}
            self._next = {number: read.offset for number, read in self.position.read.items()}

    def fetched(self, partition: int) -> int:
        """The next offset of a partition that is wanted."""
        return self._next[partition]

    def push(self, partition: int, offset: int, sequence: int, nominated: CandidateBatch) -> bool:
        """Take in a partition's list; False if it has been told before."""
        self._next[partition] = max(self._next[partition], offset + 1)
        if is_duplicate(sequence, self._heard[partition]):
            return False
        self._heard[partition] = sequence
        if (since := nominated.voids) is not None:
            self._waiting[partition] = deque(told for told in self._waiting[partition] if told[1].sequence <= since)
            return True
        self._waiting[partition].append((nominated, Read(offset + 1, sequence)))
        return True

    def skip(self, partition: int, offset: int) -> None:
        """Pass over a record that is none of ours."""
        self._next[partition] = max(self._next[partition], offset + 1)

    def recover(self, moment: int, sequence: int) -> Commit:
        """Go on behind what Kafka has of a desk that the store does not know, since it was set back.

        The staff was told: what was decided up to `moment` is not decided anew.

        Args:
            moment: the latest of which every partition was told that it is done, microseconds.
            sequence: the highest number of a contact.
        """
        self.position.moment = max(moment, self.position.moment)
        self.position.sequence = max(sequence, self.position.sequence)
        base, self._base = self._base, msgspec.json.encode(self.position)
        return Commit(NUMBER, base, self._base, {}, b"", [])

    def wants(self, partition: int) -> bool:
        """Whether more of a partition is to be read: one that is far ahead of the slowest waits in Kafka, not here."""
        return sum(not nominated.more for nominated, _ in self._waiting[partition]) < MOMENTS_AHEAD

    @property
    def lacking(self) -> list[int]:
        """The partitions that have not nominated for the next moment yet."""
        return [number for number, waiting in self._waiting.items() if all(part.more for part, _ in waiting)]

    def decide(self) -> Allocation | None:
        """Decide the next moment for which all partitions have nominated; None if there is none yet."""
        if self.lacking:
            return None
        moment = min(waiting[0][0].moment for waiting in self._waiting.values())
        candidates: list[AlertCandidate] = []
        for number, waiting in self._waiting.items():
            while waiting and waiting[0][0].moment == moment:
                nominated, self.position.read[number] = waiting.popleft()
                candidates += [outbox.candidate_of(one, moment) for one in nominated.candidates]
                if not nominated.more:
                    break
        records, opened = self._records(moment, candidates) if moment > self.position.moment else ([], 0)
        self.position.moment = max(moment, self.position.moment)
        position = msgspec.json.encode(self.position)
        commit = Commit(NUMBER, self._base, position, {}, b"", [pack(record) for record in records])
        self._base = position
        return Allocation(commit, moment, len(candidates), opened)

    def _records(self, moment: int, candidates: list[AlertCandidate]) -> tuple[list[Outgoing], int]:
        """Alerts and contacts of the episodes, then a marker to every partition."""
        settings, position = self._settings, self.position
        alerts = open_alerts(candidates, settings.capacity, settings.alert_lifetime)
        records: list[Outgoing] = []
        for alert in alerts:
            position.sequence += 1
            records += outbox.opening(self._partition_of(alert.customer), alert, position.sequence)
        for number in self._waiting:
            position.sequence += 1
            done = encode_message(AllocationDone(EPOCH + moment * MICROSECOND, position.sequence))
            records.append(Outgoing(outbox.CONTACTS, number, None, done))
        return records, len(alerts)

"""Allocator: turns the alert candidates of all partitions into the day's alerts. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from stream_app.core.alerts.arms import Draws
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, allocate
from stream_app.core.messages.batches import CandidateBatch
from stream_app.core.messages.outbox_reader import OutboxReader, ReadPosition, rewound
from stream_app.core.messages.outgoing import Outgoing, pack
from stream_app.core.messages.schema import AllocationDone, encode_message
from stream_app.core.partition import alert_records
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.known_policies import KnownPolicies
from stream_app.core.settings import Settings
from stream_app.core.units import NEVER, from_micros

MOMENTS_AHEAD: Final = 64  # maximum number of moments buffered per partition while waiting for slower partitions
NUMBER: Final = -1  # the allocator's partition number in the store


class AllocatorPosition(msgspec.Struct, omit_defaults=True):
    """Progress of the allocator."""

    read: dict[int, ReadPosition]
    moment: int  # latest moment allocated, microseconds
    sequence: int  # sequence number of the last message to a partition
    experiment: str = ""  # name of the latest holdout experiment
    drawn: int = 0  # number of customers drawn in it


@dataclass
class Allocation:
    """Result of allocating one moment, ready to commit."""

    commit: Commit
    moment: int
    nominated: int
    opened: int  # alerts for the staff
    held_out: int
    put_off: int  # planned calls that a quota puts off
    policies: list[str]  # versions of the policy that the partitions apply; one, unless their settings differ


class Allocator(OutboxReader[CandidateBatch]):
    """Merges the candidates of all partitions and opens alerts for the best ones.

    Args:
        partitions: number of partitions.
        settings: the shop's settings.
        partition_of: returns the partition of a customer.

    Call `decide` until it returns None. If there is a `missing_policy`, add it to `policies`.
    """

    def __init__(self, partitions: int, settings: Settings, partition_of: Callable[[str], int]) -> None:
        super().__init__(partitions)
        self.position = AllocatorPosition(dict.fromkeys(range(partitions), ReadPosition()), NEVER, 0)
        self.policies = KnownPolicies(settings)
        self._draws = Draws()
        self._partition_of = partition_of
        self._base = b""

    def begin(self, position: bytes) -> None:
        """Start from a stored position, if there is one."""
        self._base = position
        if position:
            self.position = msgspec.json.decode(position, type=AllocatorPosition)
            self.resume(self.position.read)
        self._draws = Draws(self.position.experiment, self.position.drawn)

    def push(self, partition: int, offset: int, sequence: int, batch: CandidateBatch) -> bool:
        """Buffer a partition's candidates; return False if they are duplicates."""
        received = self.receive(partition, offset, sequence, batch)
        if received and batch.voids is not None:
            self.retract(partition, batch.voids)
            self.waiting[partition].pop()
        return received

    def wants(self, partition: int) -> bool:
        """Return whether to read more from a partition. One far ahead of the slowest is paused, to bound memory."""
        return sum(not batch.more for batch, _ in self.waiting[partition]) < MOMENTS_AHEAD

    @property
    def lacking(self) -> list[int]:
        """Partitions whose candidates for the next moment are still incomplete."""
        return [number for number, waiting in self.waiting.items() if all(batch.more for batch, _ in waiting)]

    @property
    def missing_policy(self) -> str:
        """Version of the policy that the next moment needs, if it is unknown. Moments that were allocated need none."""
        if self.lacking or self._next_moment <= self.position.moment:
            return ""
        version = self._versions(self._next_moment)[0]
        return "" if version in self.policies else version

    @property
    def _next_moment(self) -> int:
        return min(waiting[0][0].moment for waiting in self.waiting.values())

    def _versions(self, moment: int) -> list[str]:
        """Return the versions of the policy that the partitions apply; that of the first partition decides."""
        batches = (waiting[0][0] for _, waiting in sorted(self.waiting.items()))
        return list(dict.fromkeys(batch.policy for batch in batches if batch.moment == moment))

    def recover(self, moment: int, sequence: int, draws: Draws) -> Commit:
        """Return a commit that skips what is already in Kafka, after a rollback of the store.

        Args:
            moment: latest moment completed in every partition, microseconds; it is not allocated again.
            sequence: highest sequence number of any message to a partition.
            draws: draws of the holdout experiment until that moment.
        """
        if moment > self.position.moment:
            self._draws = draws
        self.position.moment = max(moment, self.position.moment)
        self.position.sequence = max(sequence, self.position.sequence)
        return self._commit([])

    def decide(self) -> Allocation | None:
        """Allocate the next moment and return the commit.

        Return None if candidates are still missing from a partition, or the policy is missing.
        """
        if self.lacking or self.missing_policy:
            return None
        moment = self._next_moment
        policies = self._versions(moment)
        candidates: list[AlertCandidate] = []
        for number, waiting in self.waiting.items():
            while waiting and waiting[0][0].moment == moment:
                batch, self.position.read[number] = waiting.popleft()
                candidates += [alert_records.candidate_of(one, moment) for one in batch.candidates]
                if not batch.more:
                    break
        alerts: list[Alert] = []
        records: list[Outgoing] = []
        put_off = 0
        if moment > self.position.moment:
            settings = self.policies[policies[0]]
            alerts, put_off = allocate(self._draws.assign(candidates, settings.holdout), settings)
            self._draws.add(candidates, alerts)
            records = self._records(moment, alerts)
        self.position.moment = max(moment, self.position.moment)
        held_out = sum(one.is_held_out for one in alerts)
        opened = len(alerts) - held_out
        return Allocation(self._commit(records), moment, len(candidates), opened, held_out, put_off, policies)

    def _records(self, moment: int, alerts: list[Alert]) -> list[Outgoing]:
        """Return the records: opened alerts and one marker per partition."""
        position = self.position
        records: list[Outgoing] = []
        for alert in alerts:
            position.sequence += 1
            records += alert_records.opening(self._partition_of(alert.customer), alert, position.sequence)
        for number in self.waiting:
            position.sequence += 1
            done = AllocationDone(from_micros(moment), position.sequence, self._draws.count, self._draws.experiment)
            records.append(Outgoing(alert_records.CONTROL, number, None, encode_message(done)))
        return records

    def _commit(self, records: list[Outgoing]) -> Commit:
        self.position.experiment, self.position.drawn = self._draws.experiment, self._draws.count
        base, self._base = self._base, msgspec.json.encode(self.position)
        return Commit(NUMBER, base, self._base, {}, b"", [pack(record) for record in records])


def rewind(position: bytes) -> bytes:
    """Return a stored position with all partitions reset to their beginnings. No moment is allocated again."""
    found = msgspec.json.decode(position, type=AllocatorPosition)
    return msgspec.json.encode(msgspec.structs.replace(found, read=rewound(found.read)))

"""Progress of a partition, stored with every commit: its position in the topics, and a summary."""

from __future__ import annotations

from typing import Final

import msgspec

from stream_app.core.customers.codec.states import CODEC_SCHEMA, is_known_schema
from stream_app.core.kpis.aggregator import KpiState
from stream_app.core.messages.decoding import CONTACTS
from stream_app.core.messages.schema import AlertStep, AllocationDone, Tick
from stream_app.core.partition.processor import Counts, PartitionProcessor
from stream_app.core.shops.capabilities import KnownShop, Shops
from stream_app.core.units import NEVER, micros
from stream_app.errors import UnusableState

_REMEDY: Final = "Use the version that wrote it, or start with a fresh prefix and let the worker catch up from Kafka."


class Hold(msgspec.Struct):
    """A pause after a tick, during which the partition waits for the trainer and the allocator."""

    moment: int  # microseconds
    trainer: bool  # whether the trainer's answer is still missing
    allocator: bool = msgspec.field(name="desk")  # whether the allocator's answer is still missing

    @property
    def waits_for(self) -> str:
        """Name of the process whose answer is awaited next."""
        return "trainer" if self.trainer else "allocator"


class Summary(msgspec.Struct):
    """State of a partition, excluding its customers."""

    schema: str = CODEC_SCHEMA
    stream_time: int = NEVER  # microseconds
    ticked: int = NEVER  # time of the latest tick, microseconds
    version: int = 0  # version of the current model
    allocator_moment: int = msgspec.field(default=NEVER, name="desk_moment")  # time of its latest message, microseconds
    allocator_sequence: int = msgspec.field(default=0, name="desk_sequence")  # sequence number of its latest message
    following: bool = False  # whether the latest tick is from a publisher and another one will follow
    hold: Hold | None = None
    counts: dict[str, int] = {}
    aggregator: KpiState = msgspec.field(default=KpiState(), name="tally")
    shops: list[KnownShop] = []
    named_policy: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="policy")  # not stored if unset

    @property
    def policy(self) -> str:
        """Version of the policy that a tick has named, or "" for that of the settings."""
        return self.named_policy or ""

    def update(self, processor: PartitionProcessor) -> None:
        """Copy the current state from a processor."""
        self.stream_time, self.counts = processor.stream_time, vars(processor.counts).copy()
        processor.aggregator.monthly_churn.advance(processor.stream_time)
        self.aggregator = processor.aggregator.state
        self.shops = processor.explainer.shops.known

    def restore(self, processor: PartitionProcessor) -> None:
        """Restore what `update` copied, except the KPIs, which `PartitionProcessor.finish_restore` restores."""
        processor.stream_time, processor.counts = self.stream_time, Counts(**self.counts)
        processor.explainer.shops = Shops(self.shops)

    def is_changed_by(self, tick: Tick, at: int) -> bool:
        """Return whether a tick does more than advance time. Ticks that were already applied do nothing."""
        changes = tick.version is not None and tick.version != self.version
        changes |= tick.policy not in {"", self.policy}
        return at > self.ticked and (changes or tick.learns or tick.nominates or tick.waits or tick.complete)

    def is_duplicate(self, message: AlertStep | AllocationDone) -> bool:
        """Return whether a message from the allocator is a duplicate; if not, record it.

        The allocator may resend messages after a crash. Both their times and their sequence numbers increase. The time
        is compared first: it is bounded by the broker's clock, so a sequence number that is far too high cannot hide
        later messages.
        """
        received = micros(message.occurred_at), message.sequence
        # Release 0.1.0 stored only the sequence number.
        moment = received[0] if self.allocator_moment == NEVER else self.allocator_moment
        if received <= (moment, self.allocator_sequence):
            return True
        self.allocator_moment, self.allocator_sequence = received
        return False


UNKNOWN_END: Final = -1  # of Position.mixed_until


class Position(msgspec.Struct, omit_defaults=True):
    """Position of a partition in its topics and in time."""

    offsets: dict[str, int]  # next offset of each topic, by role
    cursor: tuple[int, int]  # stream time, and number of commits, since due decisions are made in several chunks
    # Offset of the contacts topic before which a release before 0.3 may have written control messages. UNKNOWN_END in
    # positions of such a release, which have no such field: up to the end of the topic when the upgraded worker starts.
    mixed_until: int = UNKNOWN_END


def decode_summary(stored: bytes) -> Summary:
    """Decode a stored summary. Raise UnusableState if this release cannot read it."""
    try:
        summary = msgspec.json.decode(stored, type=Summary)
    except msgspec.MsgspecError as error:
        raise UnusableState(problem=f"its summary cannot be read ({error})", remedy=_REMEDY) from error
    if not is_known_schema(summary.schema):
        raise UnusableState(problem="it was written with other state fields, features or experts", remedy=_REMEDY)
    summary.schema = CODEC_SCHEMA  # the next commit is written with this schema
    return summary


def rewind(position: bytes, role: str) -> bytes:
    """Return a stored position with one topic reset to its beginning.

    >>> rewind(b'{"offsets": {"orders": 7, "cart": 9}, "cursor": [5, 2]}', "orders")
    b'{"offsets":{"cart":9},"cursor":[5,3]}'
    """
    found = msgspec.json.decode(position, type=Position)
    offsets = {name: offset for name, offset in found.offsets.items() if name != role}
    cursor = found.cursor[0], found.cursor[1] + 1
    mixed_until = 0 if role == CONTACTS else found.mixed_until
    return msgspec.json.encode(Position(offsets, cursor, mixed_until))

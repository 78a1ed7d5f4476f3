"""The last records that our outbox has left on topics: whether Redis still knows of all that was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from aiokafka.structs import ConsumerRecord

from stream_app.adapters.kafka.tail import tail
from stream_app.config import LiveConfig
from stream_app.core.events.schema import Rejected
from stream_app.core.messages.batches import decode_candidates, decode_labelled, decode_scored, read_message
from stream_app.core.messages.outgoing import sequence_of
from stream_app.core.messages.schema import AllocationDone, Contact, decode_message
from stream_app.core.partition.outbox import LABELLED, NOMINATIONS, SCORES
from stream_app.core.units import EPOCH, MICROSECOND

_LOOK_BACK: Final = 16  # the last offsets may hold what others have written
# The topics to which a worker alone relays, and nobody else.
_WRITTEN: Final[dict[str, Callable[[bytes], object]]] = {
    LABELLED: decode_labelled,
    NOMINATIONS: decode_candidates,
    SCORES: decode_scored,
}
_FORGED: Final = 10**9  # records between the oldest and the newest of some last ones
_FURTHER: Final = 8  # times as far back, where nothing of ours was found: the shop's own tools write contacts too


def last_sequence(config: LiveConfig, partition: int, look_back: int = _LOOK_BACK) -> int:
    """Return the highest sequence number among the last records that a worker has written for a partition; 0: none.

    Only records that decode count: with a number on foreign bytes no worker would start.

    Args:
        config: where Kafka is.
        partition: its number.
        look_back: number of offsets of each topic.

    Raises NoBroker.
    """
    decoders = {config.kafka.topics.of(role)[role]: decode for role, decode in _WRITTEN.items()}
    records = tail(config, list(decoders), partition, look_back).records
    ours = [one for one in records if not isinstance(read_message(one.value, decoders[one.topic]), Rejected)]
    return highest(map(_sequence, ours))


def last_of_the_desk(config: LiveConfig, topic: str, partition: int) -> tuple[int, int, int]:
    """What the desk has told a partition last: the number in its outbox, of its contact, and the moment that is done.

    Microseconds; a moment of -1: none is. Raises NoBroker.
    """
    look_back = _LOOK_BACK
    while True:
        numbers, contacts, moment = list[int](), list[int](), -1
        last = tail(config, [topic], partition, look_back)
        for record in last.records:
            told = decode_message(record.value or b"")
            if isinstance(told, AllocationDone) or (isinstance(told, Contact) and told.opening is not None):
                numbers.append(_sequence(record))
                contacts.append(told.sequence)
            if isinstance(told, AllocationDone):
                moment = max(moment, (told.occurred_at - EPOCH) // MICROSECOND)
        if moment >= 0 or last.whole:  # else what others have written may hide it
            return highest(numbers), highest(contacts), moment
        look_back *= _FURTHER


def highest(numbers: Iterable[int]) -> int:
    """Return the highest of some sequence numbers, without those that are too far above the lowest to be real.

    >>> highest([0, 7, 5_000_000]), highest([7, 999_999_999_999]), highest([])
    (5000000, 7, 0)
    """
    real = [number for number in numbers if number]
    return max((number for number in real if number - min(real) < _FORGED), default=0)


def _sequence(record: ConsumerRecord) -> int:
    return sequence_of(record.headers)

"""Batches that a commit of a partition sends: labelled examples, alert candidates and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from stream_app.core.causes.explanation import Probability
from stream_app.core.events.schema import (
    Id,
    Instant,
    Micros,
    Rejected,
    rejection,
)
from stream_app.core.messages.outgoing import SequenceNumber
from stream_app.core.messages.schema import CandidateRecord, Source, Version
from stream_app.core.units import DAY_US

Days = Annotated[int, msgspec.Meta(ge=0, le=84_006)]  # since 1970-01-01, or an age
Figure = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]
_Values = msgspec.Meta(max_length=10_000)  # of a list; far more than a record of 1 MiB holds


class LabelledExample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision with its label, for the trainer: see labels.Pending."""

    customer: Id
    decided_at: Micros
    features: bytes  # float16
    log_odds: bytes  # float16
    probability: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    label: Annotated[int, msgspec.Meta(ge=0, le=1)]
    source: Source
    version: Version


class LabelledBatch(msgspec.Struct, frozen=True, array_like=True):
    """The labelled examples of one commit of a partition, on `shop.labelled`.

    Attributes:
        examples: decisions whose labels have become known.
        expected: by day since 1970, the returns expected of its decisions (cohorts.Cohorts).
        returns: day since 1970, age in days, and how many decisions of that day saw the customer order at that age.
        moment: watermark, microseconds: all examples up to it have been sent; 0: no watermark.
        voids: retracts all earlier batches with a greater sequence number; they are sent again after a rollback of the
            store.
    """

    examples: Annotated[list[LabelledExample], _Values] = []
    expected: Annotated[dict[Days, Figure], _Values] = {}
    returns: list[tuple[Days, Days, Annotated[int, msgspec.Meta(ge=0, le=10**12)]]] = []
    moment: Micros = 0
    voids: SequenceNumber | None = None

    @property
    def latest(self) -> int:
        """Latest time in the batch, microseconds."""
        decided = max((one.decided_at for one in self.examples), default=0)
        day = max([*self.expected, *(one[0] for one in self.returns)], default=0)
        return max(self.moment, decided, day * DAY_US)


class CandidateBatch(msgspec.Struct, frozen=True, array_like=True):
    """A partition's best alert candidates at one time, on `shop.nominations`; an empty list means that it has none.

    Attributes:
        voids: as in `LabelledBatch`; such a batch holds no candidates.
        more: whether the list continues in the partition's next record.
    """

    moment: Micros
    candidates: Annotated[list[CandidateRecord], _Values]
    voids: SequenceNumber | None = None
    more: bool = False

    @property
    def latest(self) -> int:
        """Latest time in the batch, microseconds."""
        return self.moment


class ScoreRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's latest probability of churn."""

    customer: Id
    probability: Probability


class ScoreRecords(msgspec.Struct, frozen=True, omit_defaults=True):
    """The new scores of one commit of a partition, on `shop.scores`, as JSON."""

    partition: int
    stream_time: Instant
    version: Version
    scores: Annotated[list[ScoreRecord], _Values]


_ReadT = TypeVar("_ReadT")
decode_labelled: Final = msgspec.msgpack.Decoder(LabelledBatch).decode
decode_candidates: Final = msgspec.msgpack.Decoder(CandidateBatch).decode
decode_scored: Final = msgspec.json.Decoder(ScoreRecords).decode


def read_message(value: bytes | None, decode: Callable[[bytes], _ReadT]) -> _ReadT | Rejected:
    """Return the message in a value of an internal topic, or why it was rejected. Never raises.

    >>> read_message(b"not msgpack", decode_candidates).reason
    'not a message of this topic: Expected `array`, got `int`'
    """
    try:
        return decode(value or b"")
    except msgspec.ValidationError as error:
        found = rejection(error)
        return found if found.field else Rejected(f"not a message of this topic: {found.reason}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(f"not a message of this topic: {error}")

"""Batches sent with a partition's commit: labelled examples, alert candidates and scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import msgspec

from stream_app.core.causes.explanation import Probability
from stream_app.core.causes.feedback import Confirmation, FiledText
from stream_app.core.events.schema import (
    Id,
    Instant,
    Micros,
    Rejected,
    rejection,
)
from stream_app.core.messages.outgoing import SequenceNumber
from stream_app.core.messages.schema import CandidateRecord, PolicyVersion, Source, Version
from stream_app.core.units import DAY_US

Days = Annotated[int, msgspec.Meta(ge=0, le=84_006)]  # days since 1970-01-01, or an age in days
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Figure = Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]
_Values = msgspec.Meta(max_length=10_000)  # list length; far more than fits into a record of 1 MiB


class LabelledExample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A decision with its label, sent to the trainer; see labels.Pending."""

    customer: Id
    decided_at: Micros
    features: bytes  # float16
    log_odds: bytes  # float16
    probability: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
    label: Annotated[int, msgspec.Meta(ge=0, le=1)]
    source: Source
    version: Version
    copies: Annotated[int, msgspec.Meta(ge=0, le=15)] = 1


class LabelledBatch(msgspec.Struct, frozen=True, array_like=True):
    """Labelled examples from one commit of a partition, sent to `shop.labelled`.

    Attributes:
        examples: decisions whose labels have become known.
        expected: expected returns for the decisions of each day, by day since 1970 (see cohorts.Cohorts).
        returns: tuples of day since 1970, age in days, and number of that day's decisions followed by an order at that
            age.
        moment: watermark in microseconds, up to which all examples have been sent; 0: no watermark.
        voids: after a rollback of the store, retracts all earlier batches with a greater sequence number, which are
            sent again.
        steps: see lost_probability.StepCounts.rows.
        confirmed: causes confirmed by staff.
        filed: complaint texts that staff filed under a kind.
    """

    examples: Annotated[list[LabelledExample], _Values] = []
    expected: Annotated[dict[Days, Figure], _Values] = {}
    returns: list[tuple[Days, Days, Count]] = []
    moment: Micros = 0
    voids: SequenceNumber | None = None
    steps: list[tuple[Count, Count, Count]] = []
    confirmed: Annotated[list[Confirmation], _Values] = []
    filed: Annotated[list[FiledText], _Values] = []

    @property
    def latest(self) -> int:
        """Latest time in the batch, microseconds."""
        decided = max((one.decided_at for one in self.examples), default=0)
        day = max([*self.expected, *(one[0] for one in self.returns)], default=0)
        reported = [one.at for one in self.confirmed] + [one.at for one in self.filed]
        return max(self.moment, decided, day * DAY_US, *reported)


class CandidateBatch(msgspec.Struct, frozen=True, array_like=True):
    """A partition's best alert candidates at one time, sent to `shop.nominations`. The list may be empty.

    Attributes:
        voids: as in `LabelledBatch`; a batch with this field contains no candidates.
        more: whether the list continues in the partition's next record.
        policy: version of the contact policy that the partition applies; empty in batches of earlier releases.
    """

    moment: Micros
    candidates: Annotated[list[CandidateRecord], _Values]
    voids: SequenceNumber | None = None
    more: bool = False
    policy: PolicyVersion = ""

    @property
    def latest(self) -> int:
        """Latest time in the batch, microseconds."""
        return self.moment


class ScoreRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A customer's latest churn probability."""

    customer: Id
    probability: Probability


class ScoreRecords(msgspec.Struct, frozen=True, omit_defaults=True):
    """New scores from one commit of a partition, sent to `shop.scores` as JSON."""

    partition: int
    stream_time: Instant
    version: Version
    scores: Annotated[list[ScoreRecord], _Values]


_ReadT = TypeVar("_ReadT")
decode_labelled: Final = msgspec.msgpack.Decoder(LabelledBatch).decode
decode_candidates: Final = msgspec.msgpack.Decoder(CandidateBatch).decode
decode_scored: Final = msgspec.json.Decoder(ScoreRecords).decode


def read_message(value: bytes | None, decode: Callable[[bytes], _ReadT]) -> _ReadT | Rejected:
    """Decode the value of a record on an internal topic. Return the message or its rejection; never raises.

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

"""How good the model has been on decisions whose label is known: of the last days, and of all of them.

What adds up over days is kept exactly; what needs the decisions side by side is computed on a bounded sample. So it
costs the same at a million customers as at a thousand, and stands in the trainer's checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.model.churn_model import probability_of
from stream_app.core.model.evaluation_metrics import (
    Scored,
    bins_of,
    brier,
    ece,
    enough,
    lift,
    log_loss,
    precision_at,
    roc_auc,
)
from stream_app.core.model.labels import CHURNED, Matured
from stream_app.core.training.quality_sample import EVERYBODY, Sample, row_type
from stream_app.core.units import DAY_US
from stream_app.core.versions import present_expert

PRODUCT: Final = "product"  # the scorer that is the probability as it was given
RECENT: Final = "28d"
ALL: Final = "all"
WINDOWS: Final = (RECENT, ALL)
RECENT_DAYS: Final = 28
Floats = npt.NDArray[np.float64]


class Sums(msgspec.Struct):
    """What adds up, of one day's decisions or of many; lists are by scorer."""

    day: int  # the latest of them, since 1970
    examples: int
    churned: int
    log_loss: list[float]
    brier: list[float]
    hits: list[float]  # of each day's best scores, as many as the staff can call, those that left
    called: int  # how many those were

    def add(self, other: Sums) -> None:
        """Take in those of a later day."""
        self.day = max(self.day, other.day)
        self.examples += other.examples
        self.churned += other.churned
        self.called += other.called
        for name in ("log_loss", "brier", "hits"):
            pairs = zip(getattr(self, name), getattr(other, name), strict=True)
            setattr(self, name, [mine + more for mine, more in pairs])


class Stored(msgspec.Struct):
    """All of it, for the checkpoint."""

    names: list[str]
    days: list[Sums]  # recent
    total: Sums | None
    recent_rows: bytes
    recent_bar: int
    rows: bytes
    bar: int


@dataclass(frozen=True)
class Figures:
    """What is told of one scorer in one window; None: too little is known."""

    auc: float | None
    log_loss: float
    brier: float
    calibration_error: float | None
    lift: float | None
    precision: float


class Quality:
    """Keeps what is known of the decisions.

    Args:
        names: of the columns of log-odds, as `Learner.names`.
        capacity: calls that the staff can make a day.
    """

    def __init__(self, names: Sequence[str], capacity: int) -> None:
        self._names, self._capacity = tuple(names), capacity
        self._days: list[Sums] = []
        self._total: Sums | None = None
        self._samples = {window: Sample(len(self._names)) for window in WINDOWS}

    @property
    def scorers(self) -> tuple[str, ...]:
        """Whose figures there are."""
        return (PRODUCT, *self._names)

    def note(self, matured: Sequence[Matured]) -> None:
        """Take in decisions whose labels have become known, those of one day."""
        if not matured:
            return
        rows = self._rows(matured)
        day = self._sums(rows)
        if self._total is None:
            self._total = msgspec.structs.replace(day)
        else:
            self._total.add(day)
        first = self._total.day - RECENT_DAYS + 1
        self._days = [one for one in (*self._days, day) if one.day >= first]
        for sample in self._samples.values():
            sample.add(rows)
        self._samples[RECENT].forget_before(first)

    def sums(self, window: str) -> Sums | None:
        """What adds up over a window; None: nothing is known."""
        if window == ALL or not self._days:
            return self._total
        total = msgspec.structs.replace(self._days[0])
        for day in self._days[1:]:
            total.add(day)
        return total

    def figures(self, scorer: str, window: str) -> Figures | None:
        """The figures of a scorer in a window; None: nothing is known."""
        sums = self.sums(window)
        if sums is None:
            return None
        place, scored = self.scorers.index(scorer), self.scored(scorer, window)
        known = enough(scored)
        return Figures(
            auc=roc_auc(scored) if known else None,
            log_loss=sums.log_loss[place] / sums.examples,
            brier=sums.brier[place] / sums.examples,
            calibration_error=ece(scored) if known else None,
            lift=lift(scored) if known else None,
            precision=sums.hits[place] / sums.called,
        )

    def tenths(self, window: str) -> list[tuple[float, float]]:
        """What the product promised and what came, in tenths of the decisions, the lowest first; [] if too few."""
        scored = self.scored(PRODUCT, window)
        if not enough(scored):
            return []
        return [
            (float(scored.probability[rows].mean()), float(scored.churned[rows].mean())) for rows in bins_of(scored)
        ]

    def scored(self, scorer: str, window: str) -> Scored:
        """The outcomes of a window's sample beside what a scorer said."""
        rows = self._samples[window].rows
        return Scored(rows["churned"], self._said(rows, scorer))

    def stored(self) -> bytes:
        """For the checkpoint."""
        recent, every = self._samples[RECENT], self._samples[ALL]
        return msgspec.msgpack.encode(
            Stored(
                names=list(self._names),
                days=self._days,
                total=self._total,
                recent_rows=recent.rows.tobytes(),
                recent_bar=recent.bar,
                rows=every.rows.tobytes(),
                bar=every.bar,
            )
        )

    def restore(self, stored: bytes) -> None:
        """Take up what was stored; of other experts, or of none, it begins anew."""
        if not stored:
            return
        found = msgspec.msgpack.decode(stored, type=Stored)
        if tuple(map(present_expert, found.names)) != self._names:
            return
        columns = len(self._names)
        self._days, self._total = found.days, found.total
        self._samples[RECENT] = Sample(columns, found.recent_rows, found.recent_bar)
        self._samples[ALL] = Sample(columns, found.rows, found.bar)

    def _rows(self, matured: Sequence[Matured]) -> npt.NDArray[np.void]:
        rows = np.zeros(len(matured), dtype=row_type(len(self._names)))
        decisions = [one.pending for one in matured]
        rows["key"] = [_key(one.customer, one.decided_at) for one in decisions]
        rows["day"] = [one.decided_at // DAY_US for one in decisions]
        rows["churned"] = [one.label == CHURNED for one in matured]
        rows["probability"] = [one.probability for one in decisions]
        said = np.frombuffer(b"".join(one.log_odds for one in decisions), dtype=np.float16)
        rows["log_odds"] = said.reshape(len(decisions), -1)
        return rows

    def _sums(self, rows: npt.NDArray[np.void]) -> Sums:
        called, one_day = min(self._capacity, len(rows)), np.zeros(len(rows), dtype=np.int64)
        scored = [Scored(rows["churned"], self._said(rows, scorer)) for scorer in self.scorers]
        return Sums(
            day=int(rows["day"].max()),
            examples=len(rows),
            churned=int(rows["churned"].sum()),
            log_loss=[log_loss(one) * len(rows) for one in scored],
            brier=[brier(one) * len(rows) for one in scored],
            hits=[precision_at(one, one_day, self._capacity) * called for one in scored],
            called=called,
        )

    def _said(self, rows: npt.NDArray[np.void], scorer: str) -> Floats:
        if scorer == PRODUCT:
            probability: Floats = rows["probability"].astype(np.float64)
            return probability
        return probability_of(rows["log_odds"][:, self._names.index(scorer)].astype(np.float64))


def _key(customer: str, decided_at: int) -> int:
    return xxhash.xxh32_intdigest(customer.encode("utf-8", "surrogatepass"), seed=decided_at % EVERYBODY)

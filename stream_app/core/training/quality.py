"""Model quality on labelled decisions, over recent days and over all time.

Daily sums are exact; metrics that need individual decisions use a bounded uniform sample, which does not depend on
partitions, restarts or arrival order. Memory use does not depend on the number of customers. Everything is stored in
the trainer's checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from stream_app.core.arrays import Floats
from stream_app.core.expert_spec import ExpertSpec
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
from stream_app.core.model.experts.expert import probability_of
from stream_app.core.model.labels import CHURNED, Matured
from stream_app.core.model.scores import MIXTURE, LogOddsColumns
from stream_app.core.units import DAY_US
from stream_app.core.versions import EXPERTS

PRODUCT: Final = "product"  # scorer name of the probability that was actually reported
RECENT: Final = "28d"
ALL: Final = "all"
WINDOWS: Final = (RECENT, ALL)
RECENT_DAYS: Final = 28
ROWS: Final = 20_000  # maximum number of rows; a ROC-AUC over 20,000 rows has a standard error of about 0.004
EVERYBODY: Final = 1 << 32


def row_type(columns: int) -> np.dtype[np.void]:
    """Return the row format of a decision, with the given number of log-odds columns."""
    return np.dtype([
        ("key", "<u4"),  # hash of customer and time, which selects the sample
        ("day", "<i4"),  # day of the decision, counted from 1970
        ("churned", "?"),
        ("probability", "<f4"),  # the reported probability
        ("log_odds", "<f2", (columns,)),  # log-odds of the experts and their ensemble
    ])  # fmt: skip


class Sample:
    """The decisions with a key below a bar. The bar is halved whenever there are too many.

    Args:
        columns: number of log-odds columns.
        rows: stored rows.
        bar: stored bar.

    >>> sample = Sample(1)
    >>> sample.add(np.zeros(3, dtype=row_type(1)))
    >>> len(sample.rows), sample.bar == EVERYBODY
    (3, True)
    """

    def __init__(self, columns: int, rows: bytes = b"", bar: int = EVERYBODY) -> None:
        self.rows: npt.NDArray[np.void] = np.frombuffer(rows, dtype=row_type(columns))
        self.bar = bar

    def add(self, rows: npt.NDArray[np.void]) -> None:
        """Add decisions to the sample."""
        self.rows = np.concatenate([self.rows, rows[rows["key"] < self.bar]])
        while len(self.rows) > ROWS:
            self.bar //= 2
            self.rows = self.rows[self.rows["key"] < self.bar]

    def forget_before(self, day: int) -> None:
        """Remove the decisions before a day."""
        self.rows = self.rows[self.rows["day"] >= day]


_BY_SCORER: Final = ("log_loss", "brier", "hits", "scored", "calls")


class Sums(msgspec.Struct):
    """Sums over the decisions of one or more days. Lists have one entry per scorer."""

    day: int  # latest day, counted from 1970
    examples: int
    churned: int
    log_loss: list[float]
    brier: list[float]
    hits: list[float]  # churned customers among each day's highest scores, up to the number that staff can call
    called: int  # number of these highest scores
    # Of each scorer, number of decisions that it scored, and of these highest scores; until 0.2.0, all of them.
    scored: list[int] = []
    calls: list[int] = []

    def __post_init__(self) -> None:
        """Complete sums that an earlier release stored."""
        self.scored = self.scored or [self.examples] * len(self.log_loss)
        self.calls = self.calls or [self.called] * len(self.log_loss)

    def add(self, other: Sums) -> None:
        """Add the sums of a later day."""
        self.day = max(self.day, other.day)
        self.examples += other.examples
        self.churned += other.churned
        self.called += other.called
        for name in _BY_SCORER:
            pairs = zip(getattr(self, name), getattr(other, name), strict=True)
            setattr(self, name, [mine + more for mine, more in pairs])

    def relisted(self, places: Sequence[int | None]) -> Sums:
        """Return the sums of other scorers: those at the given places, where None is one that has scored nothing."""
        lists = {name: getattr(self, name) for name in _BY_SCORER}
        chosen = {name: [0 if at is None else found[at] for at in places] for name, found in lists.items()}
        return msgspec.structs.replace(self, **chosen)


class _Stored(msgspec.Struct):
    """The complete quality state, as encoded in the checkpoint."""

    names: list[str]
    days: list[Sums]  # recent days
    total: Sums | None
    recent_rows: bytes
    recent_bar: int
    rows: bytes
    bar: int


@dataclass(frozen=True)
class Figures:
    """Quality metrics of one scorer in one window; None if there are too few decisions."""

    auc: float | None
    log_loss: float
    brier: float
    calibration_error: float | None
    lift: float | None
    precision: float


class Quality:
    """Tracks the quality of the model and its experts.

    Args:
        experts: experts of the model.
        capacity: calls per day that the staff can make.
    """

    def __init__(self, experts: Sequence[ExpertSpec], capacity: int) -> None:
        self._experts, self._capacity = tuple(experts), capacity
        self._names = (*(one.name for one in experts), MIXTURE)
        self._days: list[Sums] = []
        self._total: Sums | None = None
        self._samples = {window: Sample(len(self._names)) for window in WINDOWS}

    @property
    def scorers(self) -> tuple[str, ...]:
        """Names of the scorers: the reported probability, the experts, and their ensemble."""
        return (PRODUCT, *self._names)

    def add(self, matured: Sequence[Matured]) -> None:
        """Add one day's decisions whose labels have become known."""
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
        """Return the sums over a window, or None if it has no decisions."""
        if window == ALL or not self._days:
            return self._total
        total = msgspec.structs.replace(self._days[0])
        for day in self._days[1:]:
            total.add(day)
        return total

    def figures(self, scorer: str, window: str) -> Figures | None:
        """Return the metrics of a scorer in a window, or None if it has no decisions."""
        sums = self.sums(window)
        if sums is None:
            return None
        place, scored = self.scorers.index(scorer), self.scored(scorer, window)
        if not sums.scored[place]:
            return None
        known = enough(scored)
        return Figures(
            auc=roc_auc(scored) if known else None,
            log_loss=sums.log_loss[place] / sums.scored[place],
            brier=sums.brier[place] / sums.scored[place],
            calibration_error=ece(scored) if known else None,
            lift=lift(scored) if known else None,
            precision=sums.hits[place] / sums.calls[place],
        )

    def tenths(self, window: str) -> list[tuple[float, float]]:
        """Return the mean prediction and churn rate per decile of the decisions, lowest first; [] if too few."""
        scored = self.scored(PRODUCT, window)
        if not enough(scored):
            return []
        return [
            (float(scored.probability[rows].mean()), float(scored.churned[rows].mean())) for rows in bins_of(scored)
        ]

    def scored(self, scorer: str, window: str) -> Scored:
        """Return the labels and a scorer's predictions for the sample of a window."""
        return self._scored(self._samples[window].rows, scorer)

    def stored(self) -> bytes:
        """Encode the state for the checkpoint."""
        recent, every = self._samples[RECENT], self._samples[ALL]
        return msgspec.msgpack.encode(
            _Stored(
                names=self._stored_names,
                days=self._days,
                total=self._total,
                recent_rows=recent.rows.tobytes(),
                recent_bar=recent.bar,
                rows=every.rows.tobytes(),
                bar=every.bar,
            )
        )

    def restore(self, stored: bytes) -> None:
        """Restore the stored state, unless it is empty. Experts that it does not have begin without figures."""
        if not stored:
            return
        found = msgspec.msgpack.decode(stored, type=_Stored)
        names = [PRODUCT, *(EXPERTS.get(name, name) for name in found.names)]
        wanted = [PRODUCT, *self._stored_names]
        places = [names.index(name) if name in names else None for name in wanted]
        self._days = [day.relisted(places) for day in found.days]
        self._total = None if found.total is None else found.total.relisted(places)
        for window, rows, bar in ((RECENT, found.recent_rows, found.recent_bar), (ALL, found.rows, found.bar)):
            sample = self._samples[window] = Sample(len(self._names), bar=bar)
            sample.add(self._relisted(np.frombuffer(rows, dtype=row_type(len(names) - 1)), places[1:]))

    @property
    def _stored_names(self) -> list[str]:
        """Names of the log-odds columns; that of an imported model is another one if its settings change."""
        return [*(f"{one.name}:{one.key}" if one.model else one.name for one in self._experts), MIXTURE]

    def _relisted(self, rows: npt.NDArray[np.void], places: Sequence[int | None]) -> npt.NDArray[np.void]:
        found = np.zeros(len(rows), dtype=row_type(len(self._names)))
        for name in ("key", "day", "churned", "probability"):
            found[name] = rows[name]
        for column, at in enumerate(places):
            found["log_odds"][:, column] = np.nan if at is None else rows["log_odds"][:, at - 1]
        return found

    def _rows(self, matured: Sequence[Matured]) -> npt.NDArray[np.void]:
        rows = np.zeros(len(matured), dtype=row_type(len(self._names)))
        decisions = [one.pending for one in matured]
        rows["key"] = [_key(one.customer, one.decided_at) for one in decisions]
        rows["day"] = [one.decided_at // DAY_US for one in decisions]
        rows["churned"] = [one.label == CHURNED for one in matured]
        rows["probability"] = [one.probability for one in decisions]
        rows["log_odds"], _ = LogOddsColumns(self._experts).unpack([one.log_odds for one in decisions])
        return rows

    def _sums(self, rows: npt.NDArray[np.void]) -> Sums:
        scored = [self._scored(rows, scorer) for scorer in self.scorers]
        sizes = [len(one.churned) for one in scored]
        calls = [min(self._capacity, size) for size in sizes]
        return Sums(
            day=int(rows["day"].max()),
            examples=len(rows),
            churned=int(rows["churned"].sum()),
            log_loss=[_sum(log_loss, one) for one in scored],
            brier=[_sum(brier, one) for one in scored],
            hits=[self._hits(one, called) for one, called in zip(scored, calls, strict=True)],
            called=calls[0],  # the product scores every row
            scored=sizes,
            calls=calls,
        )

    def _hits(self, scored: Scored, called: int) -> float:
        """Return the number of churned customers among the highest scores of one day."""
        one_day = np.zeros(len(scored.churned), dtype=np.int64)
        return precision_at(scored, one_day, self._capacity) * called if called else 0.0

    def _scored(self, rows: npt.NDArray[np.void], scorer: str) -> Scored:
        """Return the labels and predictions of the rows that a scorer has scored."""
        predicted = self._predicted(rows, scorer)
        known = np.isfinite(predicted)
        return Scored(rows["churned"][known], predicted[known])

    def _predicted(self, rows: npt.NDArray[np.void], scorer: str) -> Floats:
        if scorer == PRODUCT:
            probability: Floats = rows["probability"].astype(np.float64)
            return probability
        return probability_of(rows["log_odds"][:, self._names.index(scorer)].astype(np.float64))


def _sum(mean: Callable[[Scored], float], scored: Scored) -> float:
    """Return the sum over rows of a metric that is a mean; 0 if there are none."""
    return mean(scored) * len(scored.churned) if len(scored.churned) else 0.0


def _key(customer: str, decided_at: int) -> int:
    return xxhash.xxh32_intdigest(customer.encode("utf-8", "surrogatepass"), seed=decided_at % EVERYBODY)

"""Scores, their columns, and the interface of models that produce them. Importing this does not import River."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.expert_spec import BUILT_IN, ExpertSpec
from stream_app.core.state.frame import StateFrame

if TYPE_CHECKING:
    from stream_app.core.model.staff_feedback import StaffFeedback

PRIOR_SOURCE, MODEL_SOURCE = 0, 1
MIXTURE: Final = "mixture"  # column of the ensemble, before adding the shop's return level
EXPERTS: Final = (*BUILT_IN, MIXTURE)  # columns that are stored of every decision; NaN if an expert is not listed
IMPORTED: Final = np.dtype([("key", "<u4"), ("log_odds", "<f2")])  # stored after them for each imported expert
_PRIOR, _MIXTURE = EXPERTS.index("prior"), EXPERTS.index(MIXTURE)
_BASE_BYTES: Final = 2 * len(EXPERTS)


class LogOddsColumns:
    """The log-odds of decisions as a table, and as they are stored until the labels are known.

    Decisions that were stored under another list of experts can be read: an expert is recognised by its key.

    Args:
        experts: experts of the table's columns; the last column is that of the ensemble.

    >>> columns = LogOddsColumns((BUILT_IN["prior"], ExpertSpec("bayes", "river.naive_bayes.GaussianNB")))
    >>> stored = [row.tobytes() for row in columns.pack(np.array([[0.5, 1.0, 0.75]]), np.array([0.5]))]
    >>> columns.unpack(stored)[0].tolist()
    [[0.5, 1.0, 0.75]]
    >>> LogOddsColumns((BUILT_IN["prior"], BUILT_IN["tree"])).unpack(stored)[0].tolist()
    [[0.5, nan, 0.75]]
    """

    def __init__(self, experts: Sequence[ExpertSpec]) -> None:
        self._base = {EXPERTS.index(one.name): at for at, one in enumerate(experts) if not one.model}
        self._base[_MIXTURE] = len(experts)
        self._imported = {one.key: at for at, one in enumerate(experts) if one.model}
        self._width = len(experts) + 1

    def pack(self, log_odds: npt.NDArray[np.floating], prior: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
        """Return the stored form of n decisions, shape (n, bytes).

        Args:
            log_odds: shape (n, number of experts + 1).
            prior: log-odds of the prior, which is stored even if it is no expert; shape (n,).
        """
        base = np.full((len(log_odds), len(EXPERTS)), np.nan, dtype=np.float16)
        base[:, _PRIOR] = prior
        base[:, list(self._base)] = log_odds[:, list(self._base.values())]
        imported = np.empty((len(log_odds), len(self._imported)), dtype=IMPORTED)
        imported["key"] = list(self._imported)
        imported["log_odds"] = log_odds[:, list(self._imported.values())]
        return np.concatenate([base.view(np.uint8), imported.view(np.uint8).reshape(len(log_odds), -1)], axis=1)

    def unpack(self, stored: Sequence[bytes]) -> tuple[Floats, Floats]:
        """Return the log-odds of n decisions, shape (n, number of experts + 1), and those of the prior, shape (n,).

        A prediction that was not stored is NaN.
        """
        base = np.frombuffer(b"".join([one[:_BASE_BYTES] for one in stored]), dtype="<f2").reshape(-1, len(EXPERTS))
        table = np.full((len(stored), self._width), np.nan)
        table[:, list(self._base.values())] = base[:, list(self._base)]
        counts = [(len(one) - _BASE_BYTES) // IMPORTED.itemsize for one in stored]
        imported = np.frombuffer(b"".join([one[_BASE_BYTES:] for one in stored]), dtype=IMPORTED)
        rows = np.repeat(np.arange(len(stored)), counts)
        for key, at in self._imported.items():
            found = imported["key"] == key
            table[rows[found], at] = imported["log_odds"][found]
        return table, base[:, _PRIOR].astype(np.float64)


def is_stored_log_odds(stored: bytes) -> bool:
    """Return whether bytes have the form of stored log-odds, without infinite values, and with a prior and an ensemble.

    >>> is_stored_log_odds(bytes(_BASE_BYTES)), is_stored_log_odds(bytes(3))
    (True, False)
    """
    if len(stored) < _BASE_BYTES or (len(stored) - _BASE_BYTES) % IMPORTED.itemsize:
        return False
    base = np.frombuffer(stored[:_BASE_BYTES], dtype="<f2")
    imported = np.frombuffer(stored[_BASE_BYTES:], dtype=IMPORTED)["log_odds"]
    return bool(
        np.isfinite(base[[_PRIOR, _MIXTURE]]).all() and not np.isinf(base).any() and np.isfinite(imported).all()
    )


@dataclass(frozen=True)
class Scores:
    """Scores of n decisions."""

    features: npt.NDArray[np.float16]  # (n, number of features)
    log_odds: npt.NDArray[np.float32]  # (n, number of experts + 1): the experts, then the ensemble
    probability: Floats  # rounded to float32, as stored
    source: int
    version: int
    stored: npt.NDArray[np.uint8]  # (n, bytes): the log-odds as `labels.Pending` keeps them


class Model(Protocol):
    """A model that scores customers."""

    @property
    def feedback(self) -> StaffFeedback | None:
        """What was learned from staff; None if they have reported nothing."""

    def decide(self, view: StateFrame) -> Scores:
        """Score decisions using all experts."""

    def lost_probability(self, silent_days: Floats, churn_probability: Floats) -> Floats:
        """Return the probabilities that customers are lost, given their silence and probability of churn."""

    def expected_value(self, view: StateFrame, churn_probability: Floats) -> Floats:
        """Return what customers will bring within the horizon, net of returns."""

    def next_order_days(self, silent_days: Floats, churn_probability: Floats) -> tuple[Floats, Floats]:
        """Return the days until the beginning and the end (infinity: open) of the intervals of the next orders."""

    def score(self, view: StateFrame) -> Floats:
        """Return churn probabilities, using only experts that are cheap enough to run on every event."""

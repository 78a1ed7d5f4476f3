"""BG/NBD and gamma-gamma of the package lifetimes, refitted every 28 days on what was known by then.

BG/NBD: Fader, Hardie and Lee, Marketing Science 2005. Gamma-gamma: Fader and Hardie, "The Gamma-Gamma Model of Monetary
Value", 2013. Transactions are a customer's days with orders; their values are net of what was given back on that day.
After a failed fit, the parameters before it are kept. A prediction that is not a number is replaced by the mean of the
others.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.replay.ledger import Ledger
from stream_app.core.arrays import Floats, Ints

REFIT_DAYS: Final = 28
_WIDTH: Final = 1e6


@dataclass(frozen=True)
class Rival:
    """Predictions and how often the fits failed."""

    raw: Floats
    fits: int
    failures: int

    @property
    def predicted(self) -> Floats:
        """The predictions, without NaN."""
        return np.where(np.isfinite(self.raw), self.raw, np.nanmean(self.raw))


@dataclass(frozen=True)
class _Summary:
    """Recency, frequency, age and mean value of customers, as lifetimes defines them; days."""

    repeats: Floats
    last: Floats
    age: Floats
    value: Floats


class _Transactions:
    """Days with orders by customer, and their net values."""

    def __init__(self, ledger: Ledger) -> None:
        key = ledger.customer * _WIDTH + np.floor(ledger.day)
        days, place = np.unique(key, return_inverse=True)
        value = np.bincount(place, ledger.amount)
        kept = (np.bincount(place, ledger.is_order) > 0) & (value > 0)
        self.key, self.value = days[kept], np.concatenate([[0.0], np.cumsum(value[kept])])

    def summary(self, customer: Ints, day: Floats) -> _Summary:
        """Return the summaries of customers, each at a day."""
        begin = np.searchsorted(self.key, customer * _WIDTH)
        end = np.searchsorted(self.key, customer * _WIDTH + day - 1e-9, side="right")
        first = np.append(self.key, 0.0)[begin] - customer * _WIDTH
        latest = self.key[np.maximum(end - 1, 0)] - customer * _WIDTH
        repeats = np.maximum(end - begin - 1, 0).astype(np.float64)
        later = self.value[end] - self.value[np.minimum(begin + 1, len(self.key))]
        value = np.where(repeats > 0, later / np.maximum(repeats, 1.0), 0.0)
        none = end == begin
        ages = np.maximum(np.floor(day) - first, 0.0)
        return _Summary(repeats, np.where(none, 0.0, latest - first), np.where(none, 0.0, ages), value)


def lifetimes_predictions(ledger: Ledger, day: Floats, horizon: float) -> Rival | None:
    """Return the spend that lifetimes predicts for each decision, or None if the package is not installed."""
    if importlib.util.find_spec("lifetimes") is None:
        return None
    lifetimes = importlib.import_module("lifetimes")
    transactions, customers = _Transactions(ledger), np.unique(ledger.customer)
    raw, fits, failures, fitted = np.full(len(day), np.nan), 0, 0, None
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # failed fits print their optimizer's state
        warnings.simplefilter("ignore")
        for moment in np.arange(np.floor(ledger.start) + REFIT_DAYS, ledger.end + 1.0, REFIT_DAYS):
            fits += 1
            new = _fit(lifetimes, transactions.summary(customers, np.full(len(customers), moment)))
            failures, fitted = (failures, new) if new is not None else (failures + 1, fitted)
            rows = np.flatnonzero((day >= moment) & (day < moment + REFIT_DAYS))
            if fitted is not None and len(rows):
                raw[rows] = _predict(fitted, transactions.summary(ledger.owners[rows], day[rows]), horizon)
    return Rival(raw, fits, failures)


def _fit(lifetimes: Any, known: _Summary) -> tuple[Any, Any] | None:
    seen = (known.repeats > 0) | (known.age > 0)
    spent = (known.repeats > 0) & (known.value > 0)
    try:
        orders = lifetimes.BetaGeoFitter().fit(known.repeats[seen], known.last[seen], known.age[seen])
        values = lifetimes.GammaGammaFitter().fit(known.repeats[spent], known.value[spent])
    except Exception:  # noqa: BLE001 - it raises its own and numpy's errors if a fit does not converge
        return None
    finite = np.isfinite([*orders.params_.to_numpy(), *values.params_.to_numpy()]).all()
    return (orders, values) if finite else None


def _predict(fitted: tuple[Any, Any], known: _Summary, horizon: float) -> Floats:
    orders, values = fitted
    expected = orders.conditional_expected_number_of_purchases_up_to_time
    number = np.asarray(expected(horizon, known.repeats, known.last, known.age))
    pandas = importlib.import_module("pandas")
    value = values.conditional_expected_average_profit(pandas.Series(known.repeats), pandas.Series(known.value))
    return number * np.maximum(np.asarray(value), 0.0)

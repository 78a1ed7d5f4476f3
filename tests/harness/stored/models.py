"""Stored values of the trainer, and predictions of stored models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from stream_app.core.customers.customer import Customer
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured
from stream_app.core.model.snapshot import fingerprint
from stream_app.core.state.frame import StateFrame
from stream_app.core.training.quality import WINDOWS, Quality
from stream_app.core.training.trainer import Checkpoint, Trainer
from stream_app.core.units import DAY_US


def checkpoint_values(stored: bytes, horizon: int, capacity: int) -> dict[str, Any]:
    checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
    training = Trainer.restored(stored, len(checkpoint.read), horizon, capacity)
    return {
        "through": training.through,
        "read": {str(number): [one.offset, one.sequence] for number, one in training.read.items()},
        "horizon": checkpoint.horizon,
        "floors": {str(number): moment for number, moment in checkpoint.floors.items()},
        "learner": learner_values(training.churn_model),
        "quality": quality_values(training.quality),
    }


def learner_values(churn_model: ChurnModel) -> dict[str, Any]:
    """Return the figures of a model. Columns and features keep their order and have no names."""
    days, loss = churn_model.drift_window
    return {
        "fingerprint": fingerprint(churn_model),
        "version": churn_model.version,
        "churned": churn_model.churned,
        "retained": churn_model.retained,
        "source": churn_model.source,
        "level": churn_model.level,
        "shares": list(churn_model.shares().values()),
        "importances": list(churn_model.importances.values()),
        "drift": [[one.at, one.before, one.after] for one in churn_model.drift],
        "drift_window": [days, None if loss != loss else loss],  # noqa: PLR0124 - NaN
        "columns": len(churn_model.names),
    }


def quality_values(quality: Quality) -> dict[str, Any]:
    """Return the quality figures by window, in the order of the scorers."""
    return {
        window: [
            None if (found := quality.figures(scorer, window)) is None else list(vars(found).values())
            for scorer in quality.scorers
        ]
        for window in WINDOWS
    }


def predictions(churn_model: ChurnModel, customers: Sequence[Customer], at: int, horizon: int) -> dict[str, Any]:
    """Return a model's predictions at a moment as hexadecimal numbers, exact to the last bit.

    Args:
        churn_model: the model.
        customers: customers whose states it reads.
        at: the moment, microseconds.
        horizon: microseconds.
    """
    vector = np.array([list(one.vector) for one in customers])
    view = StateFrame(vector, np.full(len(customers), at / DAY_US), horizon / DAY_US)
    scores, quick = churn_model.decide(view), churn_model.score(view)
    return {
        ascii(one.name): {
            "features": scores.features[row].tobytes().hex(),
            "log_odds": scores.log_odds[row].tobytes().hex(),
            "probability": float(scores.probability[row]).hex(),
            "quick": float(quick[row]).hex(),
        }
        for row, one in enumerate(customers)
    }


def learn_on(churn_model: ChurnModel, customers: Sequence[Customer], horizon: int) -> None:
    """Train a model on the waiting decisions of customers, every second one as churned."""
    waiting = [one for customer in customers for one in customer.waiting]
    days: dict[int, list[Matured]] = {}
    for place, pending in enumerate(sorted(waiting, key=lambda one: (one.decided_at, one.customer))):
        day = pending.decided_at // DAY_US
        days.setdefault(day, []).append(Matured(pending, place % 2, pending.decided_at + horizon))
    for day, matured in sorted(days.items()):
        cohorts = Cohorts()
        cohorts.record_decisions([one.pending for one in matured])
        churn_model.record_cohorts(cohorts)
        churn_model.learn_day(matured, (day + 1) * DAY_US + horizon)

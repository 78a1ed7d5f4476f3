"""The prior: churn probability from a customer's own order rate and recency, without any training.

This is a buy-till-you-die model. While alive, a customer orders as a Poisson process, with gamma-distributed rates
across customers. After each order they may leave for good, with a beta-distributed probability. This is the MBG/NBD
model (Batislam, Denizel, Filiztekin: Empirical validation and comparison of models for customer base analysis, IJRM
2007), applied to distinct order days, with fixed instead of fitted parameters in units of the horizon.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.estimators import mbg_nbd_log_odds
from stream_app.core.state.frame import StateFrame

SHAPE: Final = 1.0  # r of the gamma distribution over order rates
SCALE_HORIZONS: Final = 2.0  # alpha of the gamma distribution: a new customer orders once in two horizons
LEAVE: Final = 1.0  # a of the beta distribution over the probability of leaving after an order
STAY: Final = 2.5  # b of it
LIMIT: Final = 6.0  # log-odds


def bg_nbd_log_odds(view: StateFrame) -> Floats:
    """Return the log-odds that a customer does not order within the horizon, shape (n,), clipped to ±LIMIT.

    They are those of an `MBGNBDClassifier` whose features are the customer's order days, in days.
    """
    purchases = (view.repeats, view.span, view.age)
    alpha = SCALE_HORIZONS * view.horizon
    return np.clip(mbg_nbd_log_odds(purchases, view.horizon, SHAPE, alpha, LEAVE, STAY), -LIMIT, LIMIT)

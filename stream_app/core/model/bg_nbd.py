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
from stream_app.core.state.frame import StateFrame

SHAPE: Final = 1.0  # r of the gamma distribution over order rates
SCALE_HORIZONS: Final = 2.0  # alpha of the gamma distribution: a new customer orders once in two horizons
STAY: Final = 2.5  # b of the beta distribution over the probability of leaving after an order; a is 1
LIMIT: Final = 6.0  # log-odds


def bg_nbd_log_odds(view: StateFrame) -> Floats:
    """Return the log-odds that a customer does not order within the horizon, shape (n,), clipped to ±LIMIT.

    P(churn) = 1 - P(alive) (1 - P(no order in the horizon | alive)), with x repeat order days, the last of them at t_x,
    in an observed lifetime of T days:

        P(alive) = 1 / (1 + ((alpha + T) / (alpha + t_x)) ** (r + x) / (b + x))
        P(no order | alive) = ((alpha + T) / (alpha + T + horizon)) ** (r + x)
    """
    alpha = SCALE_HORIZONS * view.horizon
    pace = SHAPE + view.repeats
    gone = pace * np.log((alpha + view.age) / (alpha + view.span)) - np.log(STAY + view.repeats)
    alive = 1.0 / (1.0 + np.exp(np.clip(gone, -50.0, 50.0)))
    none = np.exp(pace * np.log((alpha + view.age) / (alpha + view.age + view.horizon)))
    stays = np.clip(alive * (1.0 - none), 1e-9, 1.0 - 1e-9)
    return np.clip(np.log1p(-stays) - np.log(stays), -LIMIT, LIMIT)

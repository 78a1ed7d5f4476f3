"""The prior: churn probability from a customer's own order rate and recency, without any training.

A buy-till-you-die model. While alive, a customer orders as a Poisson process, with rates that are gamma-distributed
over customers; after each order they may leave for good, with a probability that is beta-distributed. This is the
MBG/NBD model (Batislam, Denizel, Filiztekin: Empirical validation and comparison of models for customer base analysis,
IJRM 2007), here over distinct order days, with fixed parameters in units of the horizon, not fitted ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.state.frame import StateFrame

SHAPE: Final = 1.0  # r of the gamma distribution over order rates
SCALE_HORIZONS: Final = 2.0  # alpha of that distribution, in horizons: a new customer orders every two horizons
STAY: Final = 2.5  # b of the beta distribution over the probability of leaving after an order; its a is 1
LIMIT: Final = 6.0  # log-odds


def bg_nbd_log_odds(view: StateFrame) -> Floats:
    """Return the log-odds of no order within the horizon, shape (n,), between -LIMIT and LIMIT.

    P(churn) = 1 - P(alive) (1 - P(no order in the horizon | alive)), with x repeat order days, the last at t_x, in a
    life of T days so far:

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

"""Expected value: what a customer will bring within the horizon, net of returns, before the shop's margin.

It is a number of order days times a value per order day.

The number of order days is the geometric mean of two estimates. With the probability p of no order, the churn model
expects -log(p) orders if they are a Poisson process. The customer's own pace, of `repeats` order days after the first
one in `age` days, expects horizon (repeats + 1/2) / (age + horizon) if the customer returns, which has the probability
1 - p. Each corrects the other where it is extreme: the own pace ignores silence, and -log(p) hardly differs among
customers who order often.

The value per order day is the customer's own mean, shrunk towards the shop's typical order as if two more order days
had been seen (as in the gamma-gamma model of spending: Fader, Hardie and Lee, Journal of Marketing Research 2005; Fader
and Hardie 2013). Nothing is fitted by maximization, so that no fit can fail. docs/adr/0023-expected-value.md compares
the formula with BG/NBD and gamma-gamma on recorded logs.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.core.arrays import Floats
from stream_app.core.model.features import PLACE
from stream_app.core.state.frame import StateFrame
from stream_app.core.units import DAY_US

SHRINKAGE: Final = 2.0  # order days at the typical order value, added to the customer's own
HALF_LIFE: Final = 180 * DAY_US  # of what is known about typical orders, microseconds
_START: Final = 0.5  # order days, added to the customer's repeats
_MEAN_AMOUNT: Final = PLACE["mean_amount"]


class TypicalOrder:
    """The shop's typical order value: the geometric mean over customers of their mean order amount.

    It is learned from decisions when their labels mature, and forgotten with a half-life of HALF_LIFE.
    """

    def __init__(self) -> None:
        self._weight = self._logs = 0.0  # number of decisions, and sum of the logarithms
        self._learned_at = 0  # microseconds

    @property
    def amount(self) -> float:
        """The typical order value, or 0 if nothing has been learned."""
        return float(np.expm1(self._logs / self._weight)) if self._weight else 0.0

    @property
    def shrinkage(self) -> float:
        """Number of order days by which customers' own values are shrunk: none until something has been learned."""
        return SHRINKAGE if self._weight else 0.0

    def learn_day(self, features: Floats, moment: int) -> None:
        """Learn from a day's matured decisions.

        Args:
            features: of n decisions, shape (n, len(NAMES)).
            moment: time, microseconds.
        """
        kept = 0.5 ** (max(moment - self._learned_at, 0) / HALF_LIFE)
        self._weight = self._weight * kept + len(features)
        self._logs = self._logs * kept + float(features[:, _MEAN_AMOUNT].sum())
        self._learned_at = moment


def expected_value(view: StateFrame, churn_probability: Floats, typical: TypicalOrder) -> Floats:
    """Return what each customer is expected to bring within the horizon, in the shop's currency, shape (n,).

    Args:
        view: states of n customers.
        churn_probability: probability of no order within the horizon, shape (n,).
        typical: the shop's typical order value.
    """
    churns = np.clip(churn_probability, 1e-6, 1.0 - 1e-6)
    pace = view.horizon * (view.repeats + _START) / (view.age + view.horizon)
    order_days = np.sqrt(-np.log(churns) * (1.0 - churns) * pace)
    spent, shrinkage = np.maximum(view["money"], 0.0), typical.shrinkage
    return order_days * (spent + shrinkage * typical.amount) / (np.maximum(view.order_days, 1.0) + shrinkage)

"""The MBG/NBD model of customers who buy until they leave, with fixed parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from river import base, utils

from stream_app.core.arrays import Floats

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoDataFrame, IntoSeries


def mbg_nbd_log_odds(
    purchases: tuple[Floats, Floats, Floats], horizon: float, r: float, alpha: float, a: float, b: float
) -> Floats:
    """Return the log-odds that customers do not order within the horizon, shape (n,).

    P(churn) = 1 - P(alive) (1 - P(no order in the horizon | alive)), with x repeat orders, the last of them at t_x, in
    an observed lifetime of T:

        P(alive) = 1 / (1 + a / (b + x) ((alpha + T) / (alpha + t_x)) ** (r + x))
        P(no order | alive) = ((alpha + T) / (alpha + T + horizon)) ** (r + x)

    Args:
        purchases: x, t_x and T of each customer, each of shape (n,).
        horizon: in the unit of t_x and T, as alpha.
        r: shape of the gamma distribution of order rates.
        alpha: its scale.
        a: first parameter of the beta distribution of the probability to leave after an order.
        b: its second parameter.

    >>> new_customer = (np.zeros(1), np.zeros(1), np.zeros(1))
    >>> mbg_nbd_log_odds(new_customer, 1.0, r=1.0, alpha=2.0, a=1.0, b=2.5).round(3)
    array([1.163])
    """
    repeats, recency, age = purchases
    pace = r + repeats
    gone = pace * np.log((alpha + age) / (alpha + recency)) - np.log(b + repeats) + math.log(a)
    alive = 1.0 / (1.0 + np.exp(np.clip(gone, -50.0, 50.0)))
    none = np.exp(pace * np.log((alpha + age) / (alpha + age + horizon)))
    stays = np.clip(alive * (1.0 - none), 1e-9, 1.0 - 1e-9)
    return np.log1p(-stays) - np.log(stays)


class MBGNBDClassifier(base.MiniBatchClassifier):
    """Predicts whether a customer does not order within a horizon, from the MBG/NBD model[^1].

    While active, a customer orders at a rate that varies between customers as a gamma distribution. After every order,
    the first included, they may leave for good, with a probability that varies as a beta distribution. `True` means
    that no order will come within the horizon.

    The parameters are fixed, so learning does nothing: the model answers from the first event on, as a baseline or as
    the offset of another model. In units of the horizon the defaults fit shops of many kinds: a new customer orders
    once in two horizons.

    A feature that is absent is 0, so a row without any is a customer who has placed a first order now. Features that
    the model does not know change nothing. Times below 0 count as 0.

    Parameters
    ----------
    repeats
        Name of the feature with the number of orders after the first.
    recency
        Name of the feature with the time from the first order to the last.
    age
        Name of the feature with the time from the first order to now.
    horizon
        How far to look ahead, in the unit of these times.
    r
        Shape of the gamma distribution of order rates.
    alpha
        Its scale, in the unit of these times: mean order rates are r / alpha.
    a
        First parameter of the beta distribution of the probability to leave after an order.
    b
        Its second parameter.

    Examples
    --------

    >>> model = MBGNBDClassifier()
    >>> regular = {"repeats": 8, "recency": 4.0, "age": 4.2}
    >>> silent = {"repeats": 8, "recency": 4.0, "age": 7.0}
    >>> [round(model.predict_proba_one(x)[True], 3) for x in (regular, silent)]
    [0.344, 0.869]

    References
    ----------
    [^1]: [Batislam, E.P., Denizel, M. and Filiztekin, A., 2007. Empirical validation and comparison of models for customer base analysis. International Journal of Research in Marketing, 24(3), pp.201-209.](https://doi.org/10.1016/j.ijresmar.2006.12.005)

    """  # noqa: E501 - links cannot be wrapped

    def __init__(
        self,
        repeats: str = "repeats",
        recency: str = "recency",
        age: str = "age",
        horizon: float = 1.0,
        r: float = 1.0,
        alpha: float = 2.0,
        a: float = 1.0,
        b: float = 2.5,
    ) -> None:
        self.repeats = repeats
        self.recency = recency
        self.age = age
        self.horizon = horizon
        self.r = r
        self.alpha = alpha
        self.a = a
        self.b = b

    def learn_one(self, x: dict[Any, Any], y: base.typing.ClfTarget) -> None:
        """Do nothing: the parameters are fixed."""

    def learn_many(self, X: IntoDataFrame, y: IntoSeries) -> None:
        """Do nothing: the parameters are fixed."""

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[base.typing.ClfTarget, float]:
        """Return the probabilities of False (an order within the horizon) and True (none)."""
        probability = float(self._probabilities(x, 1)[0])
        return {False: 1.0 - probability, True: probability}

    def predict_proba_many(self, X: IntoDataFrame) -> IntoDataFrame:
        """Return the probabilities of False and True for each row of a dataframe, as a dataframe of its kind."""
        frame = utils.dataframe.into_frame(X)
        probability = self._probabilities(self._known(frame), len(frame))
        return utils.dataframe.to_native_frame({False: 1.0 - probability, True: probability}, like=frame)

    def predict_many(self, X: IntoDataFrame) -> IntoSeries:
        """Return the likelier label of each row of a dataframe."""
        frame = utils.dataframe.into_frame(X)
        likelier = self._probabilities(self._known(frame), len(frame)) > 0.5
        return utils.dataframe.to_native_series(likelier, name=None, like=frame)

    def _known(self, frame: Any) -> dict[Any, Any]:
        names = [name for name in (self.repeats, self.recency, self.age) if name in frame.columns]
        return {name: frame.get_column(name).to_numpy() for name in names}

    def _probabilities(self, x: dict[Any, Any], rows: int) -> Floats:
        repeats, recency, age = (
            np.maximum(np.broadcast_to(np.asarray(x.get(name, 0.0), dtype=np.float64), rows), 0.0)
            for name in (self.repeats, self.recency, self.age)
        )
        purchases = (repeats, np.minimum(recency, age), age)
        log_odds = mbg_nbd_log_odds(purchases, self.horizon, self.r, self.alpha, self.a, self.b)
        return 1.0 / (1.0 + np.exp(-log_odds))

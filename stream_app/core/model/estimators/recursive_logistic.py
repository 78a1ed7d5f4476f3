"""Bayesian logistic regression that learns group by group, and forgets."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from river import base, utils

from stream_app.core.arrays import Floats
from stream_app.core.model.experts.expert import row_sums

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoDataFrame, IntoSeries

FeatureName = Hashable
_LARGEST = 30.0  # log-odds; exp does not overflow


class RecursiveLogisticRegression(base.MiniBatchClassifier):
    """Bayesian logistic regression with a Gaussian prior, a random effect of groups, and forgetting.

    The model keeps a Gaussian posterior of its weights. Rows arrive in groups, for example the examples whose labels
    became known on one day. Each group moves the posterior by one Newton step, linearised at the mean with which the
    group started (a Laplace approximation[^1]). Within a group, learning one row at a time and learning many is the
    same.

    Two more things make it fit for streams whose rows are not independent. The rows of a group may share a deviation
    (everybody orders before a holiday): it is a random intercept with the standard deviation `group_deviation`, which
    is integrated out, so that it moves the weights little. And weights change over time: between two groups the
    posterior decays towards the prior with a half-life of `half_life` groups, as with discount factors[^2].

    Features that are absent are 0, as in River's other linear models: a feature that the model has not learned from
    changes no prediction, since its weight is 0, and a row without any known feature is answered by the intercept.

    Learning takes O(d²) per row and O(d³) per group, with d features; a prediction takes O(d).

    Parameters
    ----------
    offset
        Name of a feature that holds log-odds, such as the answer of another model. Its weight has the prior mean 1, so
        that an untrained model answers with these log-odds. The other weights have the prior mean 0.
    group
        Name of the feature that names the group of a row. A row is in the group of the row before if the values are
        equal. It is not an input. If None, or if a row lacks the feature, the row is a group of its own.
    weight_deviation
        Prior standard deviation of the weights.
    offset_deviation
        Prior standard deviation of the weight of `offset`.
    intercept_deviation
        Prior standard deviation of the intercept.
    group_deviation
        Standard deviation of the intercept between groups, in log-odds. 0: groups do not differ.
    half_life
        Number of groups in which what was learned decays by half. None: nothing is forgotten.
    example_weight
        Weight of a row. Less than 1 if rows overlap, as with several decisions on one customer about the same future.
    clip
        Inputs are cut to ±clip before they are used; `offset` is not. None: they are not cut.

    Attributes
    ----------
    intercept : float
        Posterior mean of the intercept.
    weights : dict
        Posterior mean of the weight of each feature, `offset` included.

    Examples
    --------

    >>> from river import datasets, evaluate, metrics, preprocessing

    >>> model = preprocessing.StandardScaler() | RecursiveLogisticRegression(weight_deviation=1.0)
    >>> evaluate.progressive_val_score(datasets.Phishing(), model, metrics.ROCAUC())
    ROCAUC: 95...%

    An untrained model answers with the offset; examples then correct it.

    >>> model = RecursiveLogisticRegression(offset="expert", group="day", half_life=30.0, group_deviation=0.5)
    >>> round(model.predict_proba_one({"expert": 1.5, "silent": 1.0})[True], 3)
    0.818
    >>> for day in range(20):
    ...     for silent in (0.0, 1.0, 1.0):
    ...         model.learn_one({"expert": 1.5, "silent": silent, "day": day}, silent == 0.0)
    >>> round(model.predict_proba_one({"expert": 1.5, "silent": 1.0})[True], 3)
    0.512

    A mini-batch gives the same model as its rows one by one. Any eager dataframe will do.

    >>> import pandas as pd
    >>> batch = pd.DataFrame({"expert": [1.5, -0.5], "silent": [1.0, 0.0], "day": [20, 20]})
    >>> model.learn_many(batch, pd.Series([True, False]))
    >>> model.predict_proba_many(batch).round(3)
       False   True
    0  0.478  0.522
    1  0.688  0.312

    References
    ----------
    [^1]: [Spiegelhalter, D.J. and Lauritzen, S.L., 1990. Sequential updating of conditional probabilities on directed graphical structures. Networks, 20(5), pp.579-605.](https://onlinelibrary.wiley.com/doi/10.1002/net.3230200507)
    [^2]: [West, M. and Harrison, J., 1997. Bayesian Forecasting and Dynamic Models. Springer.](https://link.springer.com/book/10.1007/b98971)

    """  # noqa: E501 - links cannot be wrapped

    def __init__(
        self,
        offset: str | None = None,
        group: str | None = None,
        weight_deviation: float = 0.1,
        offset_deviation: float = 0.2,
        intercept_deviation: float = 0.25,
        group_deviation: float = 0.0,
        half_life: float | None = None,
        example_weight: float = 1.0,
        clip: float | None = None,
    ) -> None:
        self.offset = offset
        self.group = group
        self.weight_deviation = weight_deviation
        self.offset_deviation = offset_deviation
        self.intercept_deviation = intercept_deviation
        self.group_deviation = group_deviation
        self.half_life = half_life
        self.example_weight = example_weight
        self.clip = clip
        # Place of each feature; the intercept has place 0, the offset place 1.
        self._places: dict[FeatureName, int] = {} if offset is None else {offset: 1}
        size = 1 + len(self._places)
        # The posterior at the start of the open group, then what the group's rows add to it: sums over its rows,
        # always linearised at `_start`, so that their order and their batches do not matter.
        self._precision, self._start = self._prior(size)
        self._curvature, self._gradient = np.zeros((size, size)), np.zeros(size)
        self._group: Any = None
        self._mean: Floats | None = self._start  # posterior mean; None: not computed since the last row

    # --- what a user of River calls ---------------------------------------------------------------------------------

    @property
    def intercept(self) -> float:
        """Return the posterior mean of the intercept."""
        return float(self._posterior_mean()[0])

    @property
    def weights(self) -> dict[FeatureName, float]:
        """Return the posterior mean of the weight of each feature."""
        mean = self._posterior_mean().tolist()
        return {name: mean[place] for name, place in self._places.items()}

    def learn_one(self, x: dict[Any, Any], y: base.typing.ClfTarget) -> None:
        """Update the model with the features `x` and the label `y`."""
        names = [name for name in x if name != self.group]
        table = np.array([[x[name] for name in names]], dtype=np.float64)
        self.learn_group(names, table, np.array([y], dtype=np.float64), x.get(self.group))

    def learn_many(self, X: IntoDataFrame, y: IntoSeries) -> None:
        """Update the model with the rows of a dataframe in their order, as `learn_one` would."""
        frame = utils.dataframe.into_frame(X)
        names = [name for name in frame.columns if name != self.group]
        table = utils.dataframe.to_numpy(frame.select(names))
        labels = utils.dataframe.into_series(y).to_numpy().astype(np.float64)
        groups = frame.get_column(self.group).to_list() if self.group in frame.columns else [None] * len(labels)
        for begin, end in _runs(groups):
            self.learn_group(names, table[begin:end], labels[begin:end], groups[begin])

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[base.typing.ClfTarget, float]:
        """Return the probabilities of False and True."""
        mean = self._posterior_mean()
        log_odds = float(mean[0])
        for name, value in x.items():
            place = self._places.get(name)
            if place is not None:
                log_odds += float(mean[place]) * (value if name == self.offset else self._cut(value))
        probability = 1.0 / (1.0 + math.exp(-min(max(log_odds, -_LARGEST), _LARGEST)))
        return {False: 1.0 - probability, True: probability}

    def predict_proba_many(self, X: IntoDataFrame) -> IntoDataFrame:
        """Return the probabilities of False and True for each row of a dataframe, as a dataframe of its kind."""
        frame = utils.dataframe.into_frame(X)
        probability = self._probabilities(frame)
        return utils.dataframe.to_native_frame({False: 1.0 - probability, True: probability}, like=frame)

    def predict_many(self, X: IntoDataFrame) -> IntoSeries:
        """Return the likelier label of each row of a dataframe."""
        frame = utils.dataframe.into_frame(X)
        return utils.dataframe.to_native_series(self._probabilities(frame) > 0.5, name=None, like=frame)

    # --- arrays, for callers that have no dataframe -------------------------------------------------------------------

    def learn_group(
        self, features: Sequence[FeatureName], table: Floats, labels: npt.NDArray[Any], group: Hashable = None
    ) -> None:
        """Update the model with rows of one group.

        Parameters
        ----------
        features
            Names of the columns, without the group's.
        table
            Rows of values, shape (n, number of features).
        labels
            0 or 1, shape (n,).
        group
            Value of the group. None: these rows are a group of their own.

        Examples
        --------

        >>> model = RecursiveLogisticRegression()
        >>> model.learn_group(["x"], np.array([[1.0], [-1.0]]), np.array([1, 0]), group=7)
        >>> {name: round(weight, 4) for name, weight in model.weights.items()}
        {'x': 0.01}

        """
        columns = self._columns(features)
        if group is None or group != self._group:
            self._begin(group)
        rows = np.zeros((len(table), len(self._start)))
        rows[:, columns] = self._cut_rows(features, table)
        rows[:, 0] = 1.0
        expected = 1.0 / (1.0 + np.exp(-np.clip(rows @ self._start, -_LARGEST, _LARGEST)))
        weight = self.example_weight
        self._curvature = self._curvature + (rows * (weight * expected * (1.0 - expected))[:, None]).T @ rows
        self._gradient = self._gradient + rows.T @ (weight * (expected - labels))
        self._mean = None

    def warm_start(self, features: Sequence[FeatureName], mean: npt.ArrayLike, precision: npt.ArrayLike) -> None:
        """Replace the posterior by one that was computed elsewhere.

        Parameters
        ----------
        features
            Names of the inputs, without the offset.
        mean
            Weights of the intercept, of the offset if there is one, and of the inputs.
        precision
            Their precision matrix.

        """
        self._columns(features)
        self._restart(np.array(precision, dtype=np.float64), np.array(mean, dtype=np.float64), None)

    # --- the posterior ------------------------------------------------------------------------------------------------

    def _prior(self, size: int) -> tuple[Floats, Floats]:
        """Return the precision matrix and mean of the prior of the first `size` weights."""
        deviations, mean = np.full(size, self.weight_deviation), np.zeros(size)
        deviations[0] = self.intercept_deviation
        if self.offset is not None:
            deviations[1], mean[1] = self.offset_deviation, 1.0
        return np.diag(deviations**-2.0), mean

    def _columns(self, features: Iterable[FeatureName]) -> list[int]:
        """Return the places of features. New ones begin with their prior."""
        columns = [self._places.setdefault(name, len(self._places) + 1) for name in features]
        known, size = len(self._start), len(self._places) + 1
        if size > known:
            precision, start = self._prior(size)
            precision[:known, :known], start[:known] = self._precision, self._start
            self._precision, self._start = precision, start
            added = (0, size - known)
            self._curvature, self._gradient = np.pad(self._curvature, added), np.pad(self._gradient, added)
            self._mean = None
        return columns

    def _begin(self, group: Any) -> None:
        """Begin a group: the posterior of the last one, decayed, is where this one starts."""
        precision, mean = self._posterior()
        if self.half_life is not None:
            fading = float(1.0 - 2.0 ** (-1.0 / self.half_life))
            prior_precision, prior_mean = self._prior(len(mean))
            pull = (1.0 - fading) * (precision @ mean) + fading * (prior_precision @ prior_mean)
            precision = (1.0 - fading) * precision + fading * prior_precision
            mean = np.linalg.solve(precision, pull).astype(np.float64, copy=False)
        self._restart(precision, mean, group)

    def _restart(self, precision: Floats, mean: Floats, group: Any) -> None:
        self._precision, self._start, self._mean, self._group = precision, mean, mean, group
        self._curvature, self._gradient = np.zeros_like(precision), np.zeros_like(mean)

    def _posterior(self) -> tuple[Floats, Floats]:
        """Return the precision matrix and mean after the rows so far."""
        curvature, gradient = self._curvature, self._gradient
        if not curvature[0, 0]:  # no rows since the start
            return self._precision, self._start
        if self.group_deviation > 0:  # integrate out the group's effect, which acts as a second intercept
            shared = curvature[0] / (1.0 / self.group_deviation**2 + curvature[0, 0])
            gradient = gradient - shared * gradient[0]
            curvature = curvature - np.outer(shared, curvature[0])
        precision = self._precision + curvature
        return precision, self._start - np.linalg.solve(precision, gradient)

    def _posterior_mean(self) -> Floats:
        if self._mean is None:
            self._mean = self._posterior()[1]
        return self._mean

    # --- inputs -------------------------------------------------------------------------------------------------------

    def _cut(self, value: float) -> float:
        return value if self.clip is None else min(max(value, -self.clip), self.clip)

    def _cut_rows(self, features: Sequence[FeatureName], table: Floats) -> Floats:
        if self.clip is None:
            return table
        cut = np.clip(table, -self.clip, self.clip)
        if self.offset in features:
            place = list(features).index(self.offset)
            cut[:, place] = table[:, place]
        return cut

    def _probabilities(self, frame: Any) -> Floats:
        mean = self._posterior_mean()
        names = [name for name in frame.columns if name in self._places]
        table = utils.dataframe.to_numpy(frame.select(names)) if names else np.zeros((len(frame), 0))
        weights = mean[[self._places[name] for name in names]] if names else np.zeros(0)
        log_odds = row_sums(self._cut_rows(names, table) * weights) + mean[0]
        return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -_LARGEST, _LARGEST)))


def _runs(values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each run of equal values. None equals nothing."""
    begin = 0
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] is None or values[place] != values[begin]:
            yield begin, place
            begin = place

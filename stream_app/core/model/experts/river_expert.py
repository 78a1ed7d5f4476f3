"""Any River classifier as an expert, and how one is made from the settings."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
from river.base import Classifier

from stream_app.core.arrays import Floats
from stream_app.core.expert_spec import ExpertSpec, refuse
from stream_app.core.model.experts.expert import Expert, Labels, Rows
from stream_app.core.model.experts.recursive import PRIOR
from stream_app.core.model.features import NAMES, PLACE

MAIN_FEATURES: Final = (
    "recency",
    "silence",
    "recency_to_gap",
    "mean_gap",
    "gap_deviation",
    "order_30d",
    "order_90d",
    "browsing_7d",
    "browsing_30d",
    "cart_30d",
    "complaint_90d",
    "mean_amount",
    "expected_orders",
    "gap_trend",
)
ENOUGH: Final = 1_000  # number of rows needed before the model replaces the prior
_SURE: Final = 0.05  # clips the probabilities of models that have seen few similar rows
_MODEL, _ARGUMENTS = "model", "arguments"


class RiverExpert(Expert):
    """A River classifier on named features and the prior's log-odds.

    Args:
        model: an untrained binary classifier or pipeline. Labels are 0 (retained) and 1 (churned).
        features: names of its features.

    >>> from river.naive_bayes import GaussianNB
    >>> expert = RiverExpert(GaussianNB(), ("recency", "silence"))
    >>> expert.log_odds(Rows(np.zeros((1, len(NAMES))), np.array([0.5])))  # untrained: the prior itself
    array([0.5])
    """

    name: ClassVar[str] = "river"

    def __init__(self, model: Classifier, features: Sequence[str] = MAIN_FEATURES) -> None:
        self._places = [PLACE[name] for name in features]
        self._model = model
        self._learned = 0

    @property
    def model(self) -> Classifier:
        """The classifier."""
        return self._model

    def log_odds(self, rows: Rows) -> Floats:
        """Return the model's log-odds, or the prior until enough rows have been learned."""
        if self._learned < ENOUGH:
            return rows.prior.copy()
        prior = rows.prior.tolist()
        return np.array([self._answer(x, instead) for x, instead in zip(self.inputs(rows), prior, strict=True)])

    def _answer(self, x: dict[Hashable, Any], prior: float) -> float:
        """Return the model's log-odds of a row, or the prior if the model fails, so that only it fails."""
        try:
            probability = churn_probability(self._model, x)
        except Exception:  # noqa: BLE001 - a model of the shop may raise anything
            return prior
        return _logit(probability) if math.isfinite(probability) else prior

    def learn(self, rows: Rows, labels: Labels) -> None:
        for x, label in zip(self.inputs(rows), labels.tolist(), strict=True):
            self._model.learn_one(x, label)
        self._learned += len(labels)

    def inputs(self, rows: Rows) -> list[dict[Hashable, Any]]:
        """Return the rows as River takes them."""
        table = np.concatenate([rows.features[:, self._places], rows.prior[:, None]], axis=1)
        names: tuple[Hashable, ...] = (*(NAMES[place] for place in self._places), PRIOR)
        return [dict(zip(names, row, strict=True)) for row in table.tolist()]


def churn_probability(model: Classifier, x: dict[Hashable, Any]) -> float:
    """Return a classifier's probability of label 1, which it may leave out if it has not seen it."""
    found = model.predict_proba_one(x)
    return float(found[1] if 1 in found else 1.0 - found.get(0, 0.5))


def river_expert(spec: ExpertSpec) -> RiverExpert:
    """Return the untrained expert that the settings name.

    Raises:
        ContradictorySettings: its features are unknown, or its model cannot be made.
    """
    unknown = [name for name in spec.features if name not in PLACE]
    if unknown:
        refuse(f"gives {spec.name!r} the unknown feature {unknown[0]!r}", "Use names from docs/reference/features.md.")
    model = _made({_MODEL: spec.model, _ARGUMENTS: spec.arguments}, spec.name)
    if not isinstance(model, Classifier):
        kind = type(model).__name__
        remedy = "Use a subclass of river.base.Classifier, or a pipeline that ends in one."
        refuse(f"has {spec.name!r}, whose model is {kind} and no River classifier", remedy)
    return RiverExpert(model, spec.features or MAIN_FEATURES)


def sample(size: int, seed: int) -> tuple[Rows, Labels]:
    """Return made-up decisions whose labels depend on recency, for trying the models in the settings."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(0.0, 5.0, (size, len(NAMES))).astype(np.float16).astype(np.float64)
    labels = (features[:, PLACE["recency"]] > 2.5) ^ (rng.random(size) < 0.1)
    return Rows(features, rng.normal(0.0, 1.0, size)), labels.astype(np.int8)


def packages_of(spec: ExpertSpec) -> frozenset[str]:
    """Return the top packages of an expert's model and of the estimators inside it.

    >>> bagged = {"model": {"model": "our_shop.trees.Tree"}, "n_models": 3}
    >>> sorted(packages_of(ExpertSpec("bagged", "river.ensemble.BaggingClassifier", bagged)))
    ['our_shop', 'river']
    """
    found: set[str] = {"river"}
    todo: list[Any] = [{_MODEL: spec.model, _ARGUMENTS: spec.arguments}]
    for one in todo:
        if _is_estimator(one):
            found.add(one[_MODEL].partition(".")[0])
        todo += one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else []
    return frozenset(found)


def _is_estimator(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() <= {_MODEL, _ARGUMENTS}
        and isinstance(value.get(_MODEL), str)
        and "." in value[_MODEL]
    )


def _made(value: Any, name: str) -> Any:
    """Return a value of the settings, with the estimators that it names."""
    if _is_estimator(value):
        path, arguments = value[_MODEL], _made(value.get(_ARGUMENTS, {}), name)
        try:
            found = pkgutil.resolve_name(path)
        except Exception as error:  # noqa: BLE001 - importing a module of the shop may raise anything
            refuse(f"has {name!r}, whose model {path} cannot be imported ({error!r})", "Install it, or check the path.")
        if not callable(found):
            refuse(f"has {name!r}, whose model {path} is no class or function", "Use the path of a class or function.")
        try:
            return found(*arguments) if isinstance(arguments, list) else found(**arguments)
        except Exception as error:  # noqa: BLE001 - the same
            refuse(f"has {name!r}, whose model {path} cannot be made ({error!r})", "Check its arguments.")
    if isinstance(value, Mapping):
        return {key: _made(one, name) for key, one in value.items()}
    if isinstance(value, list):
        return [_made(one, name) for one in value]
    return value


def _logit(probability: float) -> float:
    bounded = min(max(probability, _SURE), 1.0 - _SURE)
    return math.log(bounded / (1.0 - bounded))

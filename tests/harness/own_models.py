"""Models of a shop's own, good and bad, as settings name them."""

# ruff: noqa: ARG002 - River gives the arguments

from __future__ import annotations

import random
from collections.abc import Hashable
from typing import Any, Final

from river import compose, linear_model, preprocessing
from river.base import Classifier

X = dict[Hashable, Any]
PATH: Final = "tests.harness.own_models"


def make_regression(learning_rate: float = 0.01) -> compose.Pipeline:
    """Return a pipeline, as a factory of the shop does."""
    model = linear_model.LogisticRegression(intercept_lr=learning_rate)
    return compose.Pipeline(preprocessing.StandardScaler(), model)


class Constant(Classifier):
    """Predicts the same of everyone. The bad models differ from it in one way each."""

    def learn_one(self, x: X, y: Any) -> None:
        pass

    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: 0.6, 1: 0.4}


class Percent(Constant):
    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: 60.0, 1: 40.0}


class NotANumber(Constant):
    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: float("nan"), 1: float("nan")}


class Half(Constant):
    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: 0.25, 1: 0.25}


class Words(Constant):
    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {"stays": 0.5, "leaves": 0.5}


class Failing(Constant):
    def learn_one(self, x: X, y: Any) -> None:
        raise ZeroDivisionError("in learn_one")


class Mute(Constant):
    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        raise ZeroDivisionError("in predict_proba_one")


class Hoarder(Constant):
    """Stores every row."""

    def __init__(self) -> None:
        self.rows: list[X] = []

    def learn_one(self, x: X, y: Any) -> None:
        self.rows.append(x)


class Counting(Constant):
    """Changes when it predicts."""

    def __init__(self) -> None:
        self.asked = 0

    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        self.asked += 1
        return {0: 1.0 - 1.0 / (1 + self.asked), 1: 1.0 / (1 + self.asked)}


class Chance(Constant):
    """Draws numbers without a seed that a setting could give."""

    def __init__(self) -> None:
        self.drawn = random.Random().random()

    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: 1.0 - self.drawn, 1: self.drawn}


class Forgetful(Constant):
    """Loses what it learned when it is stored."""

    def __init__(self) -> None:
        self.learned = 0

    def learn_one(self, x: X, y: Any) -> None:
        self.learned += 1

    def predict_proba_one(self, x: X, **kwargs: Any) -> dict[Any, float]:
        return {0: 1.0 - 1.0 / (2 + self.learned), 1: 1.0 / (2 + self.learned)}

    def __reduce__(self) -> Any:
        return Forgetful, ()

    def __deepcopy__(self, memo: Any) -> Forgetful:
        copied = Forgetful()
        copied.learned = self.learned
        return copied


class WithLambda(Constant):
    def __init__(self) -> None:
        self.of = lambda x: x


class WithFunction(Constant):
    """Holds a function of another package, which a pickle may not reference."""

    def __init__(self) -> None:
        self.of = random.choice

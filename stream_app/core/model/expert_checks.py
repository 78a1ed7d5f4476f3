"""Checks of the models that the settings name, on made-up decisions: what River's own checks ask for, and more.

A replay gives the results of the live services only if every process predicts the same, so a model must not depend on
chance without a seed, must not change when it predicts, and must be the same after it was stored.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

import numpy as np
from river.base import Base

from stream_app.core.arrays import Floats
from stream_app.core.expert_spec import ExpertSpec, refuse
from stream_app.core.model.experts.expert import Labels, Rows
from stream_app.core.model.experts.river_expert import RiverExpert, churn_probability, river_expert, sample
from stream_app.core.model.snapshot import pickle_body, unpickle_expert

_LEARNED: Final = 300  # rows that a model learns
_ASKED: Final = 50  # rows that it is asked for
_MORE: Final = 30  # rows that it learns afterwards
_REPEATED: Final = 250  # times that it gets the same row; one that stores rows grows by tens of kilobytes
_MAY_GROW: Final = 16_384  # bytes, as in River's check of bounded memory
_US: Final = 1e6
_HELP: Final = "See docs/how-to/bring-your-own-model.md."


@dataclass(frozen=True)
class Cost:
    """What an expert costs, in microseconds.

    Attributes:
        decision: per prediction.
        label: per labelled decision that it learns from.
        stored_bytes: its size in a snapshot after some hundred labels.
    """

    decision: float
    label: float
    stored_bytes: int


def check_experts(experts: Sequence[ExpertSpec], clock: Callable[[], float]) -> dict[str, Cost]:
    """Check all imported models of a list. Return the cost of each by name.

    Args:
        experts: the list in the settings.
        clock: returns seconds, such as `time.perf_counter`.

    Raises:
        ContradictorySettings: a model cannot be used. The message says why.
    """
    return {one.name: check_expert(one, clock) for one in experts if one.model}


def check_expert(spec: ExpertSpec, clock: Callable[[], float]) -> Cost:
    """Check one imported model, and return its cost. Raises ContradictorySettings.

    >>> ticks = iter(range(100))
    >>> round(check_expert(ExpertSpec("bayes", "river.naive_bayes.GaussianNB"), lambda: next(ticks)).label)
    3333
    """
    expert = river_expert(spec)
    _check_seeds(spec, expert)
    rows, labels = sample(_LEARNED, seed=1)
    asked, _ = sample(_ASKED, seed=2)
    more = sample(_MORE, seed=3)
    started = clock()
    _learn(spec, expert, rows, labels)
    learned = clock()
    _check_probabilities(spec, expert, asked)
    predicting = clock()
    found = _predicted(expert, asked)
    predicted = clock()
    body = _check_pickling(spec, expert, asked, more)
    _check_purity(spec, expert, asked, more)
    _check_repetition(spec, found, (asked, rows, labels))
    _check_memory(spec, expert)
    return Cost((predicted - predicting) * _US / _ASKED, (learned - started) * _US / _LEARNED, len(body))


def _check_seeds(spec: ExpertSpec, expert: RiverExpert) -> None:
    for name in _unseeded(expert.model):
        _unusable(spec, f"{name} draws numbers without a seed", "Set its argument `seed`.")


def _unseeded(value: Any) -> Iterator[str]:
    """Yield the names of the estimators in a value that have a seed and are given none."""
    kind, parameters = type(value), value
    match value:
        case Base():
            parameters = value._get_params()
        case (type() as inner, dict() as given):  # an estimator inside another, as `_get_params` returns it
            kind, parameters = inner, given
        case list() | tuple():
            parameters = dict(enumerate(value))
    if isinstance(parameters, dict):
        if parameters.get("seed", 0) is None:
            yield kind.__name__
        for part in parameters.values():
            yield from _unseeded(part)


def _learn(spec: ExpertSpec, expert: RiverExpert, rows: Rows, labels: Labels) -> None:
    try:
        expert.learn(rows, labels)
    except Exception as error:  # noqa: BLE001 - a model of the shop may raise anything
        _unusable(spec, f"it fails to learn ({error!r})")


def _predicted(expert: RiverExpert, asked: Rows) -> Floats:
    """Return the model's probabilities, even while the expert is still the prior."""
    return np.array([churn_probability(expert.model, x) for x in expert.inputs(asked)])


def _check_probabilities(spec: ExpertSpec, expert: RiverExpert, asked: Rows) -> None:
    for model, state in ((river_expert(spec).model, "untrained"), (expert.model, "trained")):
        for x in expert.inputs(asked):
            try:
                found = model.predict_proba_one(x)
                values = [float(one) for one in found.values()]
            except Exception as error:  # noqa: BLE001 - a model of the shop may raise anything
                _unusable(spec, f"it fails to predict ({error!r})")
            if not found.keys() <= {0, 1}:
                _unusable(spec, f"it predicts labels other than 0 and 1: {sorted(map(str, found))}")
            if not all(0.0 <= one <= 1.0 for one in values):  # not a number is neither
                _unusable(spec, f"{state}, it predicts {values}, which are no probabilities")
            if len(values) > 1 and not math.isclose(sum(values), 1.0, abs_tol=1e-6):
                _unusable(spec, f"{state}, its probabilities {values} do not sum to 1")


def _check_pickling(spec: ExpertSpec, expert: RiverExpert, asked: Rows, more: tuple[Rows, Labels]) -> bytes:
    try:
        body = pickle_body(expert)
        restored = cast("RiverExpert", unpickle_expert(body, spec))
    except Exception as error:  # noqa: BLE001 - a model of the shop may raise anything
        remedy = "Use classes and functions of its own package."
        _unusable(spec, f"it cannot be stored and read again ({error})", remedy)
    original = copy.deepcopy(expert)
    same = np.array_equal(_predicted(restored, asked), _predicted(original, asked))
    restored.learn(*more)
    original.learn(*more)
    if not same or not np.array_equal(_predicted(restored, asked), _predicted(original, asked)):
        _unusable(spec, "it predicts otherwise after it was stored and read again")
    return body


def _check_purity(spec: ExpertSpec, expert: RiverExpert, asked: Rows, more: tuple[Rows, Labels]) -> None:
    silent, busy = copy.deepcopy(expert), copy.deepcopy(expert)
    first = _predicted(busy, asked)
    same = np.array_equal(first, _predicted(busy, asked))
    silent.learn(*more)
    busy.learn(*more)
    if not same or not np.array_equal(_predicted(silent, asked), _predicted(busy, asked)):
        _unusable(spec, "its predictions change it", "Learn in learn_one only.")


def _check_repetition(spec: ExpertSpec, found: Floats, given: tuple[Rows, Rows, Labels]) -> None:
    asked, rows, labels = given
    again = river_expert(spec)
    again.learn(rows, labels)
    if not np.array_equal(_predicted(again, asked), found):
        remedy = "Give a seed to all that is random in it."
        _unusable(spec, "it predicts otherwise when it learns the same again", remedy)


def _check_memory(spec: ExpertSpec, expert: RiverExpert) -> None:
    """Show the model one row many times: there is nothing to learn, so only one that stores rows still grows.

    Growth counts from the second time, since a tree may first split for what it learned before.
    """
    row, label = sample(1, seed=4)
    repeated = Rows(np.repeat(row.features, _REPEATED, axis=0), np.repeat(row.prior, _REPEATED))
    expert, sizes = copy.deepcopy(expert), []
    for _ in range(2):
        expert.learn(repeated, np.repeat(label, _REPEATED))
        sizes.append(len(pickle_body(expert)))
    grown = sizes[1] - sizes[0]
    if grown > _MAY_GROW + sizes[0] // 10:
        _unusable(spec, f"it grows with every label: by {grown:,} bytes over {_REPEATED}", "Limit what it stores.")


def _unusable(spec: ExpertSpec, problem: str, remedy: str = "") -> NoReturn:
    refuse(f"has {spec.name!r}, whose model {spec.model} cannot be used: {problem}", f"{remedy} {_HELP}".strip())

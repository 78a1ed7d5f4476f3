"""The recursive regression against the batch solution, and what its parameters do."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stream_app.core.arrays import Floats, Ints
from stream_app.core.model.estimators import RecursiveLogisticRegression

INPUTS: Final = ("prior", "a", "b", "c", "d")
UNTAUGHT: Final = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # intercept, offset, inputs
Day = tuple[Floats, Ints]  # table, labels


def some_problem(days: int, rows_a_day: int, shift: float = 0.0) -> list[Day]:
    """Return days of rows with labels; `shift` raises and lowers whole days in turn, in log-odds."""
    rng, found = np.random.default_rng(5), []
    weights = np.array([1.0, 0.25, -0.15, 0.0, 0.1])
    for day in range(days):
        table = rng.normal(size=(rows_a_day, 5))
        odds = 0.1 + table @ weights + shift * (1 if day % 2 else -1)
        found.append((table, (rng.random(rows_a_day) < 1.0 / (1.0 + np.exp(-odds))).astype(np.int64)))
    return found


def posterior_mode(problem: list[Day]) -> Floats:
    """Return the weights of the batch solution, by Newton's method on all rows."""
    table, labels = (np.concatenate(column) for column in zip(*problem, strict=True))
    x = np.concatenate([np.ones((len(table), 1)), table], axis=1)
    precision = np.diag(np.array([0.25, 0.2, *[0.1] * 4]) ** -2.0)
    w = UNTAUGHT.copy()
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + precision
        w = w - np.linalg.solve(hessian, x.T @ (p - labels) + precision @ (w - UNTAUGHT))
    return w


def learned(problem: list[Day], **parameters: Any) -> Any:
    model = RecursiveLogisticRegression(offset="prior", **parameters)
    for day, (table, labels) in enumerate(problem):
        model.learn_group(INPUTS, table, labels, day)
    return model


def weights(model: Any) -> Floats:
    return np.array([model.intercept, *(model.weights[name] for name in INPUTS)])


def test_one_pass_gives_the_batch_solution() -> None:
    problem = some_problem(days=60, rows_a_day=50)
    mode = posterior_mode(problem)
    assert np.abs(weights(learned(problem)) - mode).max() < 0.01 < np.abs(mode - UNTAUGHT).max() / 10


def test_a_group_that_deviates_as_a_whole_hardly_moves_the_weights() -> None:
    """A sale raises an input of all customers, and none returns within the horizon; no customer has changed."""
    calm = some_problem(days=30, rows_a_day=100)
    table, labels = calm[0]
    sale = (table + np.array([0.0, 2.0, 0.0, 0.0, 0.0]), np.ones_like(labels))
    moved = {}
    for effect in (0.0, 1.0):
        without, with_sale = (weights(learned(one, group_deviation=effect)) for one in (calm, [*calm, sale]))
        moved[effect] = abs(float(with_sale[2] - without[2]))
    assert moved[0.0] > 0.05
    assert moved[1.0] < moved[0.0] / 3


def test_what_was_learned_is_forgotten_towards_the_prior() -> None:
    model = learned(some_problem(days=60, rows_a_day=50), half_life=4.0)
    before = np.abs(weights(model) - UNTAUGHT).sum()
    for day in range(400):  # a hundred half-lives without a row
        model.learn_group(INPUTS, np.zeros((0, 5)), np.zeros(0), 1000 + day)
    np.testing.assert_allclose(weights(model), UNTAUGHT, atol=1e-3)
    assert before > 0.1


def test_an_example_weight_is_that_many_rows() -> None:
    (table, labels), *_ = some_problem(days=1, rows_a_day=200)
    double = (np.repeat(table, 2, axis=0), np.repeat(labels, 2))
    half = learned([double], example_weight=0.5)
    np.testing.assert_allclose(weights(half), weights(learned([(table, labels)])), atol=1e-12)
    assert np.abs(weights(learned([double])) - weights(half)).max() > 1e-3


@pytest.mark.parametrize("group", ["day", None])
@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batches_do_not_matter(group: str | None, batch: int) -> None:
    (table, labels), *_ = some_problem(days=1, rows_a_day=40)
    frame = pd.DataFrame(table, columns=list(INPUTS)).assign(day=[f"day {row // 9}" for row in range(40)])
    make: dict[str, Any] = {"offset": "prior", "group": group, "group_deviation": 0.5, "half_life": 3.0, "clip": 1.5}
    if group is None:
        frame = frame.drop(columns="day")
    one, many = RecursiveLogisticRegression(**make), RecursiveLogisticRegression(**make)
    for row, label in zip(frame.to_dict("records"), labels.tolist(), strict=True):
        one.learn_one({str(name): value for name, value in row.items()}, label)
    for begin in range(0, 40, batch):
        many.learn_many(frame[begin : begin + batch], pd.Series(labels[begin : begin + batch]))
    np.testing.assert_allclose(weights(many), weights(one), atol=1e-12)
    assert np.abs(weights(one) - UNTAUGHT).max() > 0.02


def test_groups_differ_from_rows_of_their_own() -> None:
    (table, labels), *_ = some_problem(days=1, rows_a_day=40)
    grouped = learned([(table, labels)], group_deviation=0.5)
    single = learned([(table[[row]], labels[[row]]) for row in range(40)], group_deviation=0.5)
    assert np.abs(weights(grouped) - weights(single)).max() > 1e-3


def test_inputs_beyond_the_clip_are_cut_and_the_offset_is_not() -> None:
    model = learned(some_problem(days=5, rows_a_day=50), clip=1.0)
    given = [{"prior": 3.0, "a": 1.0}, {"prior": 3.0, "a": 50.0}, {"prior": 2.0, "a": 50.0}]
    at, beyond, other = (model.predict_proba_one(x)[True] for x in given)
    assert at == beyond > other
    assert model.predict_proba_many(pd.DataFrame(given))[True].tolist() == pytest.approx([at, beyond, other])


def test_a_feature_that_appears_late_has_the_weight_of_one_that_was_0() -> None:
    early, late = some_problem(days=2, rows_a_day=60)
    known, unknown = RecursiveLogisticRegression(half_life=5.0), RecursiveLogisticRegression(half_life=5.0)
    table = early[0] * np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    known.learn_group(INPUTS, table, early[1], 1)
    unknown.learn_group(INPUTS[:3], table[:, :3], early[1], 1)
    for model in (known, unknown):
        model.learn_group(INPUTS, *late, group=1)
        model.learn_group(INPUTS, *late, group=2)
    np.testing.assert_allclose(weights(known), weights(unknown), atol=1e-12)


def test_a_warm_start_continues_a_posterior() -> None:
    problem = some_problem(days=6, rows_a_day=40)
    whole, first = learned(problem, half_life=3.0), learned(problem[:4], half_life=3.0)
    precision, mean = first._posterior()
    second = RecursiveLogisticRegression(offset="prior", half_life=3.0)
    second.warm_start(INPUTS[1:], mean, precision)
    for day, (table, labels) in enumerate(problem[4:]):
        second.learn_group(INPUTS, table, labels, day)
    np.testing.assert_allclose(weights(second), weights(whole), atol=1e-12)


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_any_dataframe_will_do(kind: str) -> None:
    (table, labels), *_ = some_problem(days=1, rows_a_day=30)
    columns = {name: table[:, place] for place, name in enumerate(INPUTS)}
    model: Any = RecursiveLogisticRegression(offset="prior")
    if kind == "pandas":
        frame = pd.DataFrame(columns)
        model.learn_many(frame, pd.Series(labels))
        found = model.predict_proba_many(frame)[True].tolist()
        assert model.predict_many(frame).tolist() == [one > 0.5 for one in found]
    else:
        frame = pa.table(columns)
        model.learn_many(frame, pa.chunked_array([labels]))
        found = model.predict_proba_many(frame)["True"].to_pylist()
        assert model.predict_many(frame).to_pylist() == [one > 0.5 for one in found]
    rows = [dict(zip(INPUTS, row, strict=True)) for row in table.tolist()]
    assert found == pytest.approx([model.predict_proba_one(x)[True] for x in rows], abs=1e-12)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    model = learned(some_problem(days=3, rows_a_day=50))
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(300, 5)), columns=list(INPUTS))
    together = model.predict_proba_many(frame)[True].to_numpy()
    apart = [model.predict_proba_many(frame[at : at + 7])[True].to_numpy() for at in range(0, 300, 7)]
    assert np.array_equal(np.concatenate(apart), together)

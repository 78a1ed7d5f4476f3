"""Snapshots restore the stored model, and nothing else is restored."""

from __future__ import annotations

import copy
import io
import os
import pickle
import pickletools
import struct
import subprocess
import sys
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
import river.datasets
import river.stream
from hypothesis import given, strategies as st

from stream_app.core.expert_spec import BUILT_IN, DEFAULT, ExpertSpec, is_same_list
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.experts.binned import BinnedExpert
from stream_app.core.model.experts.recursive import Span
from stream_app.core.model.labels import Pending
from stream_app.core.model.lost_probability import StepCounts
from stream_app.core.model.snapshot import (
    ALLOWED,
    FORMAT,
    MAGIC,
    Header,
    _is_implied,
    array,
    body_of,
    checksum,
    fingerprint,
    listed_experts,
    pack,
    pickle_body,
    restore,
    schema,
    snapshot,
)
from stream_app.core.units import DAY_US
from stream_app.core.versions import SNAPSHOT_STEPS
from stream_app.errors import ContradictorySettings, UnusableSnapshot
from tests.harness import own_models
from tests.harness.own_models import PATH as OWN_MODELS
from tests.harness.shops import PLANNED, SHOP, T0, planning_model, rows_of, train, trained_model
from tests.unit.core.model.test_staff_feedback import a_feedback

STORED: Final = snapshot(trained_model())
SIZE: Final = int.from_bytes(STORED[len(MAGIC) : len(MAGIC) + 4], "little")
START: Final = len(MAGIC) + 4
BODY: Final = STORED[START + SIZE :]


def header(body: bytes = BODY, **changes: Any) -> Header:
    """Return the header of the stored snapshot, with the checksum of a body."""
    written = msgspec.structs.replace(msgspec.json.decode(STORED[START : START + SIZE], type=Header), **changes)
    experts = written.experts if written.format >= 5 else ()
    return msgspec.structs.replace(written, checksum=checksum(body, experts))


def refusal(stored: bytes) -> str:
    with pytest.raises(UnusableSnapshot) as refused:
        restore(stored, "versions/30")
    assert "versions/30" in str(refused.value)
    assert refused.value.facts["remedy"]
    return str(refused.value)


def test_a_restored_model_predicts_and_learns_bit_for_bit() -> None:
    original, restored = copy.deepcopy(trained_model()), restore(STORED)
    rows = rows_of(np.random.default_rng(1), 300)
    assert fingerprint(restored) == fingerprint(original)
    for _ in range(3):
        for one, other in zip(restored.predict(rows), original.predict(rows), strict=True):
            assert np.array_equal(one, other)
        for churn_model in (restored, original):
            train(churn_model, range(100, 106))
    assert (restored.version, restored.churned, restored.shares()) == (
        original.version,
        original.churned,
        original.shares(),
    )
    assert vars(restored._nowcast).keys() == vars(original._nowcast).keys()
    assert restored._nowcast.deviation == original._nowcast.deviation
    assert restored.drift == original.drift
    assert restored.importances == original.importances


def test_a_snapshot_of_a_restored_model_can_be_restored() -> None:
    again = restore(snapshot(restore(STORED)))
    assert fingerprint(again) == fingerprint(trained_model())


def test_the_fingerprint_distinguishes_models() -> None:
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, 1)
    seen = {fingerprint(churn_model), fingerprint(trained_model())}
    train(churn_model, [0])
    seen.add(fingerprint(churn_model))
    churn_model.version += 1
    seen.add(fingerprint(churn_model))
    assert len(seen) == 4
    same = ChurnModel(SHOP.horizon, SHOP.decide_every, 2)
    assert fingerprint(same) == fingerprint(ChurnModel(SHOP.horizon, SHOP.decide_every, 1))


@pytest.mark.parametrize("expert", range(6))
def test_the_fingerprint_depends_on_every_expert(expert: int) -> None:
    churn_model = copy.deepcopy(trained_model())
    rows = rows_of(np.random.default_rng(9), 400)
    churn_model.experts[expert].learn(rows, (rows.features[:, 3] > 4).astype(np.int8))
    is_the_prior = churn_model.experts[expert].name == "prior"
    assert (fingerprint(churn_model) == fingerprint(trained_model())) is is_the_prior


def test_a_restored_lost_probability_predicts_and_learns_bit_for_bit() -> None:
    original = copy.deepcopy(planning_model())
    silent_days, probability = np.array([1.0, 9.0]), np.array([0.3, 0.8])
    for day in range(1, 4):
        restored = restore(snapshot(original))
        before, counts = fingerprint(original), StepCounts()
        counts.merge([(cell, 50 * day, 10) for cell in range(0, 200, 7)])
        for churn_model in (original, restored):
            churn_model.learn_day([], T0 + day * DAY_US, counts)
        assert fingerprint(restored) == fingerprint(original) != before
        ours, theirs = (one.lost_probability(silent_days, probability) for one in (restored, original))
        assert np.array_equal(ours, theirs)


# --- the allow-list --------------------------------------------------------------------------------------------------


def names_in(body: bytes) -> set[tuple[str, str]]:
    """Return every module and name that a pickle looks up."""
    found = set()

    class Walker(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found.add((module, name))
            return super().find_class(module, name)

    loaded = Walker(io.BytesIO(body)).load()
    for expert in getattr(loaded, "experts", ()):
        found |= names_in(expert)
    return found


def drifted() -> ChurnModel:
    """Return a model with drift, a lost probability and feedback, so that its snapshot contains every class."""
    churn_model = copy.deepcopy(planning_model())
    churn_model.learn_day([], T0, feedback=a_feedback())
    for day in range(200):
        churn_model._drift.observe(day, 0.3 + 0.5 * (day > 100))
    assert churn_model.drift
    return churn_model


def test_the_allow_list_equals_the_names_in_a_snapshot() -> None:
    stored = snapshot(drifted())
    start = START + int.from_bytes(stored[len(MAGIC) : START], "little")
    assert names_in(stored[start:]) == ALLOWED
    assert restore(stored).drift == drifted().drift


def test_the_allow_list_has_no_escape() -> None:
    allowed = {f"{module}.{name}" for module, name in ALLOWED}
    assert {name for name in allowed if name.startswith("builtins.")} == {"builtins.float"}
    modules = {module.split(".")[0] for module, _ in ALLOWED}
    assert modules == {"stream_app", "river", "collections", "builtins", "random"}


class Evil:
    """A call that an attacker would inject."""

    def __init__(self, call: Any, *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


@pytest.mark.parametrize(
    "call", [os.system, eval, exec, getattr, __import__, open, np.load, np.fromfile], ids=attrgetter("__name__")
)
def test_a_body_that_would_call_what_touches_the_world_is_refused(call: Any, tmp_path: Any) -> None:
    body = pickle.dumps(Evil(call, str(tmp_path / "touched"), "w"))
    assert "which is not allowed in a model" in refusal(pack(header(body), body))
    assert list(tmp_path.iterdir()) == []


def test_a_dotted_name_is_refused() -> None:
    body = b"\x80\x04\x8c\x0bcollections\x8c\x0c_sys.modules\x93."
    assert [op.name for op, _, _ in pickletools.genops(body)][-2] == "STACK_GLOBAL"
    assert "collections._sys.modules" in refusal(pack(header(body), body))


# --- arrays ----------------------------------------------------------------------------------------------------------


def arrays_in(thing: Any, seen: set[int]) -> list[np.ndarray[Any, Any]]:
    """Return every array in a model."""
    if id(thing) in seen or isinstance(thing, str | bytes | int | float | type(None)):
        return []
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return [thing]
    inner = [*thing.keys(), *thing.values()] if isinstance(thing, dict) else []
    inner += list(thing) if isinstance(thing, list | tuple | set) else []
    inner += list(getattr(thing, "__dict__", {}).values())
    return [one for part in inner for one in arrays_in(part, seen)]


def test_an_array_round_trips_as_code_shape_and_bytes() -> None:
    churn_model = drifted()
    stored, restored = arrays_in(churn_model, set()), arrays_in(restore(snapshot(churn_model)), set())
    assert len(stored) == len(restored) > 10
    for one, other in zip(stored, restored, strict=True):
        assert one.flags.c_contiguous, "else the order in memory, and so the last bits of a product, would be lost"
        assert (other.dtype, other.shape, other.strides) == (one.dtype, one.shape, one.strides)
        assert other.flags.writeable
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("code", "shape", "data"),
    [
        ("|O", (1,), bytes(8)),
        ("<f8", (2,), bytes(8)),
        ("<f8", (1 << 62,), bytes(8)),
        ("<f8", (-1, 3), bytes(8)),
        ("<f8", "x", bytes(8)),
        ("<f8", (1,), bytes(7)),
        ("<f8", (1,), None),
        (["<f8"], (1,), bytes(8)),
        ("f8,(9999999999)i8", (1,), bytes(8)),
        ("<M8[s]", (1,), bytes(8)),
    ],
)
def test_an_invalid_array_is_refused(code: Any, shape: Any, data: Any) -> None:
    body = pickle.dumps(Evil(array, code, shape, data), protocol=5)
    assert "body cannot be read" in refusal(pack(header(body), body))


def test_a_model_with_an_array_of_objects_is_not_stored() -> None:
    churn_model = copy.deepcopy(trained_model())
    churn_model.importances = {"x": np.array([object()])}  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="cannot hold arrays of object"):
        snapshot(churn_model)


class Forged:
    """An array of eight bytes whose type claims pointers to an object."""

    def __reduce__(self) -> Any:
        array_of = np.array([0.0]).__reduce_ex__(5)[0]
        return array_of, (struct.pack("<Q", 0x4141414141414141), Lying(), (1,), "C")


class Lying:
    """`numpy.dtype` with a forged state."""

    def __reduce__(self) -> Any:
        no_flags = 0
        state = (3, "|", None, ("f",), {"f": (np.dtype(object), 0)}, 8, 8, no_flags)
        return np.dtype, ("V8", False, True), state


_LOADS: Final = """
import pickle, sys
print(pickle.loads(sys.stdin.buffer.read())["f"][0])
"""
_RESTORES: Final = """
import sys
from stream_app.core.model.snapshot import restore
from stream_app.errors import UnusableSnapshot
try:
    restore(sys.stdin.buffer.read(), "versions/30")
except UnusableSnapshot as error:
    print(error)
"""


def child(program: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    folder = Path(__file__).parents[4]
    return subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, check=False, cwd=folder)


def test_a_forged_numpy_type_is_refused_without_a_crash() -> None:
    body = pickle.dumps(Forged(), protocol=5)
    assert child(_LOADS, body).returncode < 0, "this is what would happen: a signal, not an error"
    refused = child(_RESTORES, pack(header(body), body))
    assert (refused.returncode, refused.stderr) == (0, b"")
    assert b"which is not allowed in a model" in refused.stdout


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"", "not a model snapshot"),
        (b"GIF89a" + bytes(100), "not a model snapshot"),
        (pickle.dumps({"a": 1}), "not a model snapshot"),
        (MAGIC, "incomplete"),
        (STORED[: START + 10], "header cannot be read"),
        (STORED[:-1], "incomplete or was modified"),
        (STORED + b"\0", "incomplete or was modified"),
        (pack(header(format=FORMAT + 1), BODY), f"format {FORMAT + 1}; this release reads format {FORMAT}"),
        (pack(header(river="0.99.0"), BODY), f"River 0.99.0; River {header().river} is installed"),
        (pack(header(numpy="9.0.0"), BODY), "numpy 9.0.0"),
        (pack(header(schema="0"), BODY), "other features, slots or experts"),
        (pack(header(fingerprint="0"), BODY), "predictions differ"),
    ],
)
def test_an_unusable_snapshot_is_refused_with_a_reason(stored: bytes, problem: str) -> None:
    assert problem in refusal(stored)


def test_another_numpy_version_is_accepted_if_predictions_are_equal() -> None:
    other = pack(header(numpy=np.__version__.split(".")[0] + ".999.0"), BODY)
    assert fingerprint(restore(other)) == fingerprint(trained_model())


@pytest.mark.parametrize(
    "thing",
    [None, 1.0, {"a": [1]}, BinnedExpert(Span(10.0, 2.0))],
    ids=lambda thing: type(thing).__name__,
)
def test_a_body_without_a_model_is_refused(thing: Any) -> None:
    body = pickle_body(thing)
    assert f"it contains {type(thing).__name__} instead of a churn model" in refusal(pack(header(body), body))


def test_a_model_with_foreign_classes_is_refused() -> None:
    churn_model = copy.deepcopy(trained_model())
    churn_model.importances = {"x": Pending("c", 0)}  # type: ignore[dict-item]
    assert "core.model.labels.Pending" in refusal(snapshot(churn_model))


def test_an_incomplete_model_is_refused() -> None:
    churn_model = copy.deepcopy(trained_model())
    del churn_model._mixture
    body = body_of(churn_model)
    assert "body cannot be read" in refusal(pack(header(body), body))


def test_a_body_on_which_rivers_rust_would_panic_is_refused() -> None:
    adwin = trained_model()._drift._adwin._helper
    state = adwin.__getstate__()
    body = BODY.replace(state, b"\xff" * len(state))
    assert body != BODY
    assert "body cannot be read" in refusal(pack(header(body), body))


@given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed(place: int, change: int) -> None:
    changed = bytearray(STORED)
    changed[place] ^= change
    try:
        restored = restore(bytes(changed))
    except UnusableSnapshot:
        return
    # Only the version of numpy is told and not held against anyone.
    assert fingerprint(restored) == fingerprint(trained_model())
    assert START <= place < START + SIZE


@given(st.integers(0, len(STORED) - 1))
def test_no_byte_can_be_missing(length: int) -> None:
    refusal(STORED[:length])


def test_the_schema_is_that_of_this_release() -> None:
    assert header().schema == schema()
    assert schema() == schema()
    assert ChurnModel(DAY_US, DAY_US, 0).names == trained_model().names


def test_a_model_of_0_2_0_that_plans_calls_starts_to_learn_the_typical_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SNAPSHOT_STEPS, 4, lambda _: None)  # the experts here are present ones
    stored = copy.deepcopy(planning_model())
    stored.typical_order = None
    named = fingerprint(stored)
    del stored.typical_order, stored.specs, stored.span
    vars(stored).update(_mixed=[0, 1, 2, 3], _cheap=[0, 1, 2], _prior=2)
    body = pickle_body(stored)
    found = restore(pack(header(body, format=3, fingerprint=named), body))
    assert found.lost is not None
    assert found.typical_order is None
    found.track_lost(PLANNED)
    assert found.typical_order is not None
    train(found, range(100, 106))
    assert found.typical_order.amount > 0.0
    assert fingerprint(restore(snapshot(found))) == fingerprint(found)


# --- other experts ---------------------------------------------------------------------------------------------------

FOREST: Final = ExpertSpec("forest", "river.forest.ARFClassifier", {"n_models": 3, "seed": 1})
OWN: Final = ExpertSpec("own", f"{OWN_MODELS}.make_regression", scored="events", share=0.2)
LIST: Final = (*DEFAULT, FOREST, OWN)


@cache
def model_with_imports() -> ChurnModel:
    """Return a trained model with imported experts, which have taken over from the prior. It must not be changed."""
    churn_model = ChurnModel(SHOP.horizon, SHOP.decide_every, 1, LIST)
    train(churn_model, range(10))
    return churn_model


def test_a_model_with_imported_experts_predicts_and_learns_bit_for_bit() -> None:
    original, restored = copy.deepcopy(model_with_imports()), restore(snapshot(model_with_imports()), "here", LIST)
    rows = rows_of(np.random.default_rng(1), 100)
    for days in (range(100, 101), range(101, 103)):
        for one, other in zip(restored.predict(rows), original.predict(rows), strict=True):
            assert np.array_equal(one, other)
        for churn_model in (restored, original):
            train(churn_model, days)
    assert restored.shares() == original.shares()
    assert 0.0 < original.shares()["forest"] < 1.0
    forest = original.predict(rows)[0][:, LIST.index(FOREST)]
    assert not np.array_equal(forest, rows.prior)


def test_experts_that_are_no_longer_listed_are_dropped_unread_and_new_ones_are_untrained() -> None:
    stored = snapshot(model_with_imports())
    bayes = ExpertSpec("bayes", "river.naive_bayes.GaussianNB", share=0.25)
    wanted = (BUILT_IN["tree"], OWN, BUILT_IN["linear"], bayes)
    found, rows = restore(stored, "here", wanted), rows_of(np.random.default_rng(1), 100)
    before, after = model_with_imports().predict(rows)[0], found.predict(rows)[0]
    assert found.names == ("tree", "own", "linear", "bayes", "mixture")
    for name in ("tree", "own", "linear"):
        assert np.array_equal(after[:, found.names.index(name)], before[:, model_with_imports().names.index(name)])
    assert np.array_equal(after[:, 3], rows.prior)
    shares = found.shares()
    assert shares["bayes"] == pytest.approx(0.25 / (0.25 + 0.05 + 0.2 + 0.7))
    old = model_with_imports().shares()
    assert shares["linear"] / shares["own"] == pytest.approx(old["linear"] / old["own"])
    train(found, range(100, 103))
    again = restore(snapshot(found), "here", wanted)
    assert fingerprint(again) == fingerprint(found)
    # The bytes of the forest are never read by those who do not list it.
    assert b"river.forest" in stored
    broken = body_of(model_with_imports()).replace(b"river.forest", b"no_such_pkg_")
    assert fingerprint(restore(pack(listed(broken), broken), "here", wanted)) == fingerprint(
        restore(stored, "here", wanted)
    )
    assert "no_such_pkg_" in refusal_with(pack(listed(broken), broken), LIST)


def test_an_expert_with_other_arguments_is_another_one() -> None:
    other = msgspec.structs.replace(FOREST, arguments={"n_models": 2, "seed": 1})
    found, rows = (
        restore(snapshot(model_with_imports()), "here", (*DEFAULT, other)),
        rows_of(np.random.default_rng(1), 9),
    )
    assert np.array_equal(found.predict(rows)[0][:, 6], rows.prior)


def test_another_share_is_the_same_list() -> None:
    more = tuple(msgspec.structs.replace(one, share=0.5) for one in LIST)
    assert fingerprint(restore(snapshot(model_with_imports()), "here", more)) == fingerprint(model_with_imports())
    assert is_same_list(listed_experts(snapshot(model_with_imports())), more)


def listed(body: bytes, experts: tuple[ExpertSpec, ...] = LIST) -> Header:
    return header(body, experts=experts, fingerprint=fingerprint(model_with_imports()))


def refusal_with(stored: bytes, experts: tuple[ExpertSpec, ...]) -> str:
    with pytest.raises(UnusableSnapshot) as refused:
        restore(stored, "versions/30", experts)
    return str(refused.value)


def with_expert(spec: ExpertSpec, thing: Any) -> bytes:
    """Return a snapshot whose expert has been replaced."""
    stored = copy.copy(model_with_imports())
    experts = [pickle_body(expert) for expert in stored.experts]
    experts[LIST.index(spec)] = pickle.dumps(thing, protocol=5)
    stored.specs, stored.experts = (), experts  # type: ignore[assignment]
    body = pickle_body(stored)
    return pack(listed(body), body)


@pytest.mark.parametrize(
    "call",
    [
        os.system,
        eval,
        getattr,
        open,
        np.load,
        river.stream.iter_csv,
        river.datasets.Phishing,
        subprocess.Popen,
        copy.copy,
    ],
    ids=attrgetter("__name__"),
)
@pytest.mark.parametrize("spec", [FOREST, OWN, BUILT_IN["linear"]], ids=attrgetter("name"))
def test_an_imported_expert_widens_the_allow_list_by_classes_of_its_package_alone(spec: ExpertSpec, call: Any) -> None:
    assert "not allowed in a model" in refusal_with(with_expert(spec, Evil(call, "touched")), LIST)


def test_classes_of_a_shop_are_allowed_to_its_own_expert_alone() -> None:
    thing = Evil(own_models.Constant)
    assert "not allowed in a model" in refusal_with(with_expert(FOREST, thing), LIST)
    assert "it contains Constant instead of the expert own" in refusal_with(with_expert(OWN, thing), LIST)


def test_what_a_package_imports_from_elsewhere_is_not_of_it() -> None:
    assert not _is_implied(OWN, "tests.harness.own_models", "random")
    assert not _is_implied(OWN, "tests.harness.own_models", "Classifier.mro")
    assert not _is_implied(FOREST, "river.datasets", "Phishing")
    assert not _is_implied(OWN, "stream_app.services.runtime.process", "Process")
    assert _is_implied(OWN, "tests.harness.own_models", "Constant")


def test_foreign_bytes_import_no_module() -> None:
    name = "tests.unit.core.model.never_imported"
    assert not _is_implied(OWN, name, "Thing")
    assert not _is_implied(OWN, f"{OWN_MODELS}.compose", "missing")


def test_a_faulty_setting_is_no_fault_of_the_snapshot() -> None:
    gone = ExpertSpec("gone", "no_such_package.Model")
    with pytest.raises(ContradictorySettings, match="no_such_package"):
        restore(STORED, "here", (*DEFAULT, gone))

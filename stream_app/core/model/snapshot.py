"""Snapshots of the churn model as bytes with a header, restored through an allow-list.

Layout: MAGIC, the length of the header (4 bytes, little-endian), the header (JSON), the body (a pickle). The header is
    checked before the body is read. The body may only reference names in ALLOWED, so it can construct models but cannot
    call anything with side effects. Arrays are stored as type code, shape and bytes, because `numpy.dtype` would accept
    a forged state with wrong sizes and pointers.

In the body, each expert is a pickle of its own, so that one that is no longer listed is dropped without being read. The
pickle of an imported model may also reference what the reader's own settings imply; see `_is_implied`.

The allow-list is only a second line of defence, since River's classes restore any state. Snapshots stored where others
can write must be signed, and verified before they are read (core/model/signature.py).
"""

from __future__ import annotations

import copy
import io
import pickle
import pkgutil
import struct
from collections.abc import Collection, Sequence
from functools import cache, reduce
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
import numpy.typing as npt
import river
import xxhash

from stream_app.core.expert_spec import DEFAULT, ExpertSpec, is_same_list, refuse
from stream_app.core.model.churn_model import ChurnModel, made
from stream_app.core.model.experts.expert import Expert, Rows
from stream_app.core.model.experts.river_expert import RiverExpert, packages_of, river_expert, sample
from stream_app.core.model.features import NAMES
from stream_app.core.model.scores import EXPERTS
from stream_app.core.state.vector import SLOTS
from stream_app.core.versions import SNAPSHOT_SCHEMAS, SNAPSHOT_STEPS, is_readable, present_class
from stream_app.errors import UnusableSnapshot

# Increase with every change to the layout or to the attributes of a class in this package; see docs/state-formats.md.
FORMAT: Final = 5
MAGIC: Final = b"churnmdl"
# Allowed array types, in numpy's notation: plain numbers.
CODES: Final = frozenset({"<f8", "<f4", "<i8", "<i4", "<u8", "<u4", "|i1", "|u1", "|b1"})
_LISTED: Final = 5  # since this format, a header has a list of experts
PROBES: Final = 64  # number of rows used for a fingerprint
_RIVER: Final[str] = river.__version__  # type: ignore[attr-defined] # River does not export it by name
_LENGTH: Final = struct.Struct("<I")
_OWN: Final = "stream_app.core.model"
# Exactly the names that occur in a snapshot, as checked by a test.
ALLOWED: Final = frozenset(
    {
        (f"{_OWN}.drift", "Drift"),
        (f"{_OWN}.drift", "DriftWatch"),
        (f"{_OWN}.estimators.grid_encoder", "GridEncoder"),
        (f"{_OWN}.estimators.recursive_logistic", "RecursiveLogisticRegression"),
        (f"{_OWN}.estimators.select", "SelectWithDefault"),
        (f"{_OWN}.experts.binned", "BinnedExpert"),
        (f"{_OWN}.experts.linear", "LinearExpert"),
        (f"{_OWN}.experts.recursive", "Span"),
        (f"{_OWN}.experts.river_models", "RiverBaselineExpert"),
        (f"{_OWN}.experts.river_models", "TreeExpert"),
        (f"{_OWN}.experts.baselines", "BgNbdExpert"),
        (f"{_OWN}.experts.baselines", "RecencyExpert"),
        (f"{_OWN}.churn_model", "ChurnModel"),
        (f"{_OWN}.complaint_texts", "ComplaintTexts"),
        (f"{_OWN}.ensemble", "Ensemble"),
        (f"{_OWN}.expected_value", "TypicalOrder"),
        (f"{_OWN}.lost_probability", "LostModel"),
        (f"{_OWN}.lost_probability", "StepGrid"),
        (f"{_OWN}.nowcast", "Nowcast"),
        (f"{_OWN}.snapshot", "array"),
        (f"{_OWN}.staff_feedback", "StaffFeedback"),
        ("stream_app.core.causes.learning", "LearnedCauses"),
        ("builtins", "float"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("random", "Random"),  # part of River's distributions, which are never sampled
        ("river._river_rust.drift", "AdaptiveWindowing"),
        ("river._river_rust.vectordict", "VectorDict"),
        ("river.compose.pipeline", "Pipeline"),
        ("river.compose.union", "TransformerUnion"),
        ("river.drift.adwin", "ADWIN"),
        ("river.linear_model.log_reg", "LogisticRegression"),
        ("river.multiclass.ovr", "OneVsRestClassifier"),
        ("river.optim.ada_grad", "AdaGrad"),
        ("river.optim.initializers", "Zeros"),
        ("river.optim.losses", "Log"),
        ("river.optim.schedulers", "Constant"),
        ("river.preprocessing.scale", "StandardScaler"),
        ("river.proba.gaussian", "Gaussian"),
        ("river.stats.mean", "Mean"),
        ("river.stats.var", "Var"),
        ("river.tree.hoeffding_tree_classifier", "HoeffdingTreeClassifier"),
        ("river.tree.nodes.branch", "NumericBinaryBranch"),
        ("river.tree.nodes.htc_nodes", "LeafNaiveBayesAdaptive"),
        ("river.tree.splitter.gaussian_splitter", "GaussianSplitter"),
    }
)
# Types and functions without side effects that a pickle of an imported model may reference.
_STANDARD: Final = frozenset(
    {
        *(("builtins", name) for name in ("bool", "dict", "float", "frozenset", "int", "list", "set", "tuple")),
        *(("collections", name) for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(("datetime", name) for name in ("date", "datetime", "timedelta")),
        ("copy", "deepcopy"),
        ("functools", "partial"),
        ("random", "Random"),
    }
)
_RIVER_EXPERT: Final = (f"{_OWN}.experts.river_expert", "RiverExpert")
_SAMPLE: Final = 200  # number of rows that show which names a pickle needs
_TOUCHES_FILES: Final = ("river.checks", "river.datasets", "river.evaluate", "river.stream")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Header of a snapshot.

    Attributes:
        format: version of the layout.
        river: version of River, which must match exactly because its models are pickled.
        numpy: version of numpy, whose major version must match.
        schema: hash of the names of features, slots and stored score columns.
        fingerprint: fingerprint of the model.
        checksum: see `checksum`.
        experts: the experts of the model, in the order in which the body holds them.
    """

    format: int
    river: str
    numpy: str
    schema: str
    fingerprint: str
    checksum: str
    experts: tuple[ExpertSpec, ...] = DEFAULT


def checksum(body: bytes, experts: Sequence[ExpertSpec] = ()) -> str:
    """Return the checksum of a snapshot: of its body, and of its list of experts, which says what the body means."""
    return xxhash.xxh3_128_hexdigest(body + (msgspec.json.encode(experts) if experts else b""))


def snapshot(churn_model: ChurnModel) -> bytes:
    """Serialize a model for `restore`. Equal models may give different bytes; compare fingerprints instead."""
    body = body_of(churn_model)
    header = Header(
        format=FORMAT,
        river=_RIVER,
        numpy=np.__version__,
        schema=schema(),
        fingerprint=fingerprint(churn_model),
        checksum=checksum(body, churn_model.specs),
        experts=churn_model.specs,
    )
    return pack(header, body)


def body_of(churn_model: ChurnModel) -> bytes:
    """Return the body of a model's snapshot, in which each expert is a body of its own."""
    stored = copy.copy(churn_model)
    stored.specs, stored.experts = (), [pickle_body(expert) for expert in churn_model.experts]  # type: ignore[misc]
    return pickle_body(stored)


def pickle_body(value: object) -> bytes:
    """Return a value as in a snapshot body: a pickle in which arrays are stored as calls to `array`."""
    written = io.BytesIO()
    _Pickler(written, protocol=5).dump(value)
    return written.getvalue()


def pack(header: Header, body: bytes) -> bytes:
    """Assemble a snapshot from its header and body."""
    written = msgspec.json.encode(header)
    return MAGIC + _LENGTH.pack(len(written)) + written + body


def restore(stored: bytes, source: str = "given", experts: Sequence[ExpertSpec] = DEFAULT) -> ChurnModel:
    """Restore the model from a snapshot. It predicts and learns bit-for-bit like the original.

    If it was stored with other experts, those that are not listed here are dropped without being read, and those that
    are new are untrained.

    Args:
        stored: result of `snapshot`.
        source: origin of the bytes, for the error message.
        experts: the experts of the reader's own settings.

    Raises:
        UnusableSnapshot: the snapshot is incomplete, foreign, modified, or of a version that cannot be read.
        ContradictorySettings: an expert of the settings cannot be made.

    >>> churn_model = ChurnModel(60 * 86_400_000_000, 7 * 86_400_000_000, seed=1)
    >>> fingerprint(restore(snapshot(churn_model))) == fingerprint(churn_model)
    True
    >>> restore(b"GIF89a", "logo.gif")
    Traceback (most recent call last):
    stream_app.errors.UnusableSnapshot: The model snapshot logo.gif cannot be used: it is not a model snapshot. ...
    """
    header, body = _open(stored, source)
    _check(header, body, source)
    for spec in experts:
        _needed(spec)  # a model that cannot be made is a fault of the settings, not of the snapshot
    try:
        churn_model = _loaded(header, body, experts)
        same = is_same_list(header.experts, experts)
        found = fingerprint(churn_model) if same and isinstance(churn_model, ChurnModel) else header.fingerprint
    except _Forbidden as error:
        _refuse(source, f"it names {error}, which is not allowed in a model", _USE_ANOTHER, error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - foreign bytes may raise anything, even a panic in River's Rust code
        _refuse(source, f"its body cannot be read ({error!r})", _USE_ANOTHER, error)
    if not isinstance(churn_model, ChurnModel):
        _refuse(source, f"it contains {type(churn_model).__name__} instead of a churn model", _USE_ANOTHER)
    if found != header.fingerprint:
        _refuse(source, "its predictions differ from those when it was stored", _TRAIN_AGAIN)
    return churn_model


def _loaded(header: Header, body: bytes, experts: Sequence[ExpertSpec]) -> object:
    loaded: object = _AllowListUnpickler(io.BytesIO(body)).load()
    for older in range(header.format, FORMAT):
        SNAPSHOT_STEPS[older](loaded)
    if isinstance(loaded, ChurnModel):
        _relist(loaded, header.experts, experts)
    return loaded


def listed_experts(stored: bytes, source: str = "given") -> tuple[ExpertSpec, ...]:
    """Return the experts with which a snapshot was stored. Raises UnusableSnapshot."""
    return _open(stored, source)[0].experts


def unpickle_expert(body: bytes, spec: ExpertSpec) -> Expert:
    """Return an expert from a result of `pickle_body`. Raises anything if it cannot be read."""
    found: Expert = _AllowListUnpickler(io.BytesIO(body), spec).load()
    if spec.model and not isinstance(found, RiverExpert):
        raise TypeError(f"it contains {type(found).__name__} instead of the expert {spec.name}")
    return found


def _relist(churn_model: ChurnModel, stored: Sequence[ExpertSpec], wanted: Sequence[ExpertSpec]) -> None:
    """Read the experts of a model that are wanted. The list that it was stored with is `stored`."""
    bodies = {spec.key: body for spec, body in zip(stored, churn_model.experts, strict=True)}
    churn_model.specs = tuple(stored)
    experts = []
    for spec in wanted:
        body = bodies.get(spec.key)
        if isinstance(body, bytes):
            experts.append(unpickle_expert(body, spec))
        else:  # a snapshot of an earlier format holds the experts themselves
            experts.append(made(spec, churn_model.span) if body is None else body)
    if is_same_list(stored, wanted):
        churn_model.specs, churn_model.experts = tuple(wanted), experts
    else:
        churn_model.relist(wanted, experts)


def fingerprint(churn_model: ChurnModel) -> str:
    """Return a hash of the model's version and its predictions on fixed rows, rounded to nine decimals.

    Pickle bytes cannot identify a model, since they change when a model is stored and restored.
    """
    rng = np.random.default_rng(PROBES)
    features = rng.uniform(-1.0, 7.0, (PROBES, len(NAMES))).astype(np.float16).astype(np.float64)
    log_odds, probability = churn_model.predict(Rows(features, rng.normal(0.0, 2.0, PROBES)))
    columns = [log_odds, probability[:, None]]
    if churn_model.lost is not None:
        columns.append(churn_model.lost.probability(rng.uniform(0.0, 200.0, PROBES), probability)[:, None])
    if churn_model.typical_order is not None:
        columns.append(np.full((PROBES, 1), churn_model.typical_order.amount))
    predictions = np.round(np.concatenate(columns, axis=1), 9) + 0.0  # no negative zero
    counts = f"{churn_model.version} {churn_model.churned} {churn_model.retained}".encode()
    if churn_model.feedback is not None:
        counts += churn_model.feedback.probe.encode()
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(predictions, dtype="<f8").tobytes() + counts)


def schema() -> str:
    """Return a hash of all names whose order matters to a stored model."""
    names = (*NAMES, "|", *SLOTS, "|", *EXPERTS)
    return xxhash.xxh3_128_hexdigest(" ".join(names))


def array(code: str, shape: tuple[int, ...], data: bytes) -> npt.NDArray[Any]:
    """Restore an array from a snapshot. Raise ValueError if the type code is not allowed or shape and data disagree.

    >>> array("<f8", (1, 2), bytes(16))
    array([[0., 0.]])
    """
    if code not in CODES:
        raise ValueError(f"arrays of type {code!r} are not allowed")
    return np.frombuffer(bytes(data), dtype=code).reshape(shape).copy()


def _reduced(value: npt.NDArray[Any]) -> tuple[Any, ...]:
    if value.dtype.str not in CODES:
        raise TypeError(f"a snapshot cannot hold arrays of {value.dtype}")
    return array, (value.dtype.str, value.shape, value.tobytes())


class _Pickler(pickle.Pickler):
    """Pickles arrays as calls to `array`, and numbers of numpy as those of Python."""

    dispatch_table = {  # noqa: RUF012 - name and type are given by pickle
        np.ndarray: _reduced,
        np.float64: lambda value: (float, (float(value),)),
        np.int64: lambda value: (int, (int(value),)),
    }


class _Forbidden(Exception):
    """Raised for a name that is not in ALLOWED."""


class _AllowListUnpickler(pickle.Unpickler):
    """Unpickles names in ALLOWED and, in an imported expert, names that the settings imply."""

    def __init__(self, file: io.BytesIO, spec: ExpertSpec | None = None) -> None:
        super().__init__(file)
        self._spec = spec

    def find_class(self, module: str, name: str) -> Any:
        present = present_class(module, name)  # an earlier release may have used a different name
        if present in ALLOWED or (self._spec is not None and _is_implied(self._spec, *present)):
            return super().find_class(*present)
        raise _Forbidden(f"{module}.{name}")


class _Recorder(pickle.Unpickler):
    """Records the names that a pickle of this process references."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.names: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add((module, name))
        return super().find_class(module, name)


def _is_implied(spec: ExpertSpec, module: str, name: str) -> bool:
    """Return whether a pickle of an expert may reference a name: everything follows from the reader's own settings.

    Those are the classes that the packages of its model define, the functions of these packages that a model made from
    the same settings references after some training, and names in _STANDARD.
    """
    if not spec.model:
        return False
    packages = packages_of(spec)
    if not _is_within(module, packages):
        return (module, name) == _RIVER_EXPERT or (module, name) in _STANDARD
    if (module, name) in _needed(spec):
        return True
    found = None if "." in name else getattr(_imported(module), name, None)
    return isinstance(found, type) and _is_within(found.__module__, packages)


def _imported(module: str) -> object:
    """Return a module of a package that has been imported, or None if it has not: foreign bytes import nothing."""
    top, *parts = module.split(".")
    return reduce(lambda found, part: getattr(found, part, None), parts, pkgutil.resolve_name(top))


def _is_within(module: str, packages: Collection[str]) -> bool:
    ours = module.startswith("stream_app.") and not module.startswith(f"{_OWN}.")
    return module.partition(".")[0] in packages and not ours and not module.startswith(_TOUCHES_FILES)


def _needed(spec: ExpertSpec) -> frozenset[tuple[str, str]]:
    """Return the names that a pickle of an imported expert references after some training.

    Raises ContradictorySettings if it cannot be made, trained or pickled.
    """
    return _needed_by(msgspec.json.encode(spec)) if spec.model else frozenset()


@cache
def _needed_by(encoded: bytes) -> frozenset[tuple[str, str]]:
    spec = msgspec.json.decode(encoded, type=ExpertSpec)
    expert = river_expert(spec)
    try:
        expert.learn(*sample(_SAMPLE, seed=1))
        recorder = _Recorder(io.BytesIO(pickle_body(expert)))
        recorder.load()
    except Exception as error:  # noqa: BLE001 - a model of the shop may raise anything
        problem = f"has {spec.name!r}, whose model cannot learn, or cannot be pickled ({error!r})"
        refuse(problem, "See docs/how-to/bring-your-own-model.md.")
    return frozenset(recorder.names)


_USE_ANOTHER: Final = "Use another snapshot, or train a new model from the log."
_TRAIN_AGAIN: Final = "Use the release that wrote it, or train a new model from the log."


def _open(stored: bytes, source: str) -> tuple[Header, bytes]:
    start = len(MAGIC) + _LENGTH.size
    if not stored.startswith(MAGIC):
        _refuse(source, "it is not a model snapshot", "Pass bytes that were written by `snapshot`.")
    if len(stored) < start:
        _refuse(source, f"it is incomplete: it has only {len(stored)} bytes", _USE_ANOTHER)
    end = start + _LENGTH.unpack_from(stored, len(MAGIC))[0]
    try:
        return msgspec.json.decode(stored[start:end], type=Header), stored[end:]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _refuse(source, f"its header cannot be read ({error})", _USE_ANOTHER, error)


def _check(header: Header, body: bytes, source: str) -> None:
    if not is_readable(header.format, FORMAT, SNAPSHOT_STEPS):
        _refuse(source, f"it has format {header.format}; this release reads format {FORMAT}", _TRAIN_AGAIN)
    if header.river != _RIVER:
        remedy = f"Install river=={header.river}, or train a new model from the log."
        _refuse(source, f"it contains models of River {header.river}; River {_RIVER} is installed", remedy)
    if header.numpy.split(".")[0] != np.__version__.split(".")[0]:
        remedy = f"Install numpy=={header.numpy}, or train a new model from the log."
        _refuse(source, f"it contains arrays of numpy {header.numpy}; numpy {np.__version__} is installed", remedy)
    if header.schema != schema() and header.schema not in SNAPSHOT_SCHEMAS:
        _refuse(source, "it was trained with other features, slots or experts", _TRAIN_AGAIN)
    if header.checksum != (checksum(body, header.experts) if header.format >= _LISTED else checksum(body)):
        _refuse(source, "its body is incomplete or was modified", _USE_ANOTHER)


def _refuse(source: str, problem: str, remedy: str, cause: BaseException | None = None) -> NoReturn:
    raise UnusableSnapshot(source=source, problem=problem, remedy=remedy) from cause

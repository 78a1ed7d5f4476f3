"""A learner as bytes and back: one value that says who wrote it, and that is read through an allow-list only.

Layout: MAGIC, the length of the header (4 bytes, little-endian), the header (JSON), the body (a pickle). The header is
checked before the body is touched. The body can name nothing but what ALLOWED names, so that it constructs models at
worst, and never calls what touches the world. An array is its code, shape and bytes: `numpy.dtype` would believe a
state that lies about sizes and pointers.

The list is the second line of defence. River's own classes restore any state that they are given, so whoever stores
snapshots where others can write signs them (core/model/signature.py) and verifies the signature before it reads them.
"""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any, Final, NoReturn

import msgspec
import numpy as np
import numpy.typing as npt
import river
import xxhash

from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.experts.expert import Rows
from stream_app.core.model.features import NAMES
from stream_app.core.state.vector import SLOTS
from stream_app.core.units import DAY_US
from stream_app.core.versions import SNAPSHOT_SCHEMAS, SNAPSHOT_STEPS, is_readable, present_class, rename_attributes
from stream_app.errors import UnusableSnapshot

FORMAT: Final = 2  # raise it when the layout changes, or what an own class in ALLOWED keeps: docs/state-formats.md
MAGIC: Final = b"churnmdl"
CODES: Final = frozenset({"<f8"})  # of arrays, as numpy names their types
PROBES: Final = 64  # rows that a model is recognised by
_RIVER: Final[str] = river.__version__  # type: ignore[attr-defined] # River does not export it by name
_LENGTH: Final = struct.Struct("<I")
_OWN: Final = "stream_app.core.model"
# Exactly what a snapshot names; a test walks one and finds no more and no less.
ALLOWED: Final = frozenset(
    {
        (f"{_OWN}.drift", "Drift"),
        (f"{_OWN}.drift", "DriftWatch"),
        (f"{_OWN}.experts.binned", "BinnedExpert"),
        (f"{_OWN}.experts.linear", "LinearExpert"),
        (f"{_OWN}.experts.recursive", "RecursiveLogistic"),
        (f"{_OWN}.experts.recursive", "Span"),
        (f"{_OWN}.experts.river_models", "RiverBaselineExpert"),
        (f"{_OWN}.experts.river_models", "TreeExpert"),
        (f"{_OWN}.experts.baselines", "BgNbdExpert"),
        (f"{_OWN}.experts.baselines", "RecencyExpert"),
        (f"{_OWN}.churn_model", "ChurnModel"),
        (f"{_OWN}.ensemble", "Ensemble"),
        (f"{_OWN}.nowcast", "Nowcast"),
        (f"{_OWN}.snapshot", "array"),
        ("builtins", "float"),
        ("collections", "Counter"),
        ("collections", "defaultdict"),
        ("random", "Random"),  # in River's distributions, which we never draw from
        ("river._river_rust.drift", "AdaptiveWindowing"),
        ("river._river_rust.vectordict", "VectorDict"),
        ("river.drift.adwin", "ADWIN"),
        ("river.linear_model.log_reg", "LogisticRegression"),
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


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says of itself.

    Attributes:
        format: of the layout of a snapshot.
        river: version of River, which must be the very same: its models are stored as they lie in memory.
        numpy: version of numpy; another one of the same major version is fine if the fingerprint agrees.
        schema: hash of the names of the features, of the facts and of the columns of scores.
        fingerprint: of the learner.
        checksum: of the body.
    """

    format: int
    river: str
    numpy: str
    schema: str
    fingerprint: str
    checksum: str


def snapshot(churn_model: ChurnModel) -> bytes:
    """A learner as bytes that `restore` reads. Equal learners may give different bytes: compare fingerprints."""
    body = pickled(churn_model)
    header = Header(
        format=FORMAT,
        river=_RIVER,
        numpy=np.__version__,
        schema=schema(),
        fingerprint=fingerprint(churn_model),
        checksum=xxhash.xxh3_128_hexdigest(body),
    )
    return pack(header, body)


def pickled(value: object) -> bytes:
    """Return the body of a snapshot: a pickle whose arrays are calls of `array`."""
    written = io.BytesIO()
    _Pickler(written, protocol=5).dump(value)
    return written.getvalue()


def pack(header: Header, body: bytes) -> bytes:
    """The bytes of a snapshot."""
    written = msgspec.json.encode(header)
    return MAGIC + _LENGTH.pack(len(written)) + written + body


def restore(stored: bytes, source: str = "given") -> ChurnModel:
    """The learner of a snapshot: it predicts and goes on learning bit by bit as the one that was stored.

    Args:
        stored: what `snapshot` gave.
        source: where the bytes come from, for the error.

    Raises:
        UnusableSnapshot: it is torn, foreign, tampered with, or was written by a version that this one cannot read.

    >>> churn_model = ChurnModel(60 * 86_400_000_000, 7 * 86_400_000_000, seed=1)
    >>> fingerprint(restore(snapshot(churn_model))) == fingerprint(churn_model)
    True
    >>> restore(b"GIF89a", "logo.gif")
    Traceback (most recent call last):
    stream_app.errors.UnusableSnapshot: The model snapshot logo.gif cannot be used: it is not a model snapshot. ...
    """
    header, body = _open(stored, source)
    _check(header, body, source)
    try:
        churn_model = _AllowListUnpickler(io.BytesIO(body)).load()
        rename_attributes(churn_model, _OWN)
        for older in range(header.format, FORMAT):
            SNAPSHOT_STEPS[older](churn_model)
        found = fingerprint(churn_model) if isinstance(churn_model, ChurnModel) else ""
    except _Forbidden as error:
        _refuse(source, f"it names {error}, which no model of ours has", _TAKE_ANOTHER, error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a stranger's bytes may raise anything, also a panic of River's Rust
        _refuse(source, f"its body cannot be read ({error!r})", _TAKE_ANOTHER, error)
    if not isinstance(churn_model, ChurnModel):
        _refuse(source, f"it holds no churn model but {type(churn_model).__name__}", _TAKE_ANOTHER)
    if found != header.fingerprint:
        _refuse(source, "it predicts otherwise than when it was stored", _LEARN_ANEW)
    return churn_model


def fingerprint(churn_model: ChurnModel) -> str:
    """A hash of what a learner says on fixed rows, each expert and the mixture, to nine decimals; and of its version.

    Bytes of a pickle are no identity: a model that was stored and restored pickles into other bytes.
    """
    rng = np.random.default_rng(PROBES)
    features = rng.uniform(-1.0, 7.0, (PROBES, len(NAMES))).astype(np.float16).astype(np.float64)
    log_odds, probability = churn_model.predict(Rows(features, rng.normal(0.0, 2.0, PROBES)))
    said = np.round(np.concatenate([log_odds, probability[:, None]], axis=1), 9) + 0.0  # no negative zero
    counts = f"{churn_model.version} {churn_model.churned} {churn_model.retained}".encode()
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(said, dtype="<f8").tobytes() + counts)


def schema() -> str:
    """A hash of all that must have kept its name and place for a stored learner to be understood."""
    names = (*NAMES, "|", *SLOTS, "|", *ChurnModel(DAY_US, DAY_US, seed=0).names)
    return xxhash.xxh3_128_hexdigest(" ".join(names))


def array(code: str, shape: tuple[int, ...], data: bytes) -> npt.NDArray[Any]:
    """Return the array of a snapshot. Raise ValueError unless the code is one of CODES and shape and data agree.

    >>> array("<f8", (1, 2), bytes(16))
    array([[0., 0.]])
    """
    if code not in CODES:
        raise ValueError(f"no array has the type {code!r}")
    return np.frombuffer(bytes(data), dtype=code).reshape(shape).copy()


def _reduced(value: npt.NDArray[Any]) -> tuple[Any, ...]:
    if value.dtype.str not in CODES:
        raise TypeError(f"a snapshot holds no array of {value.dtype}")
    return array, (value.dtype.str, value.shape, value.tobytes())


class _Pickler(pickle.Pickler):
    """Writes arrays as calls of `array`."""

    dispatch_table = {np.ndarray: _reduced}  # noqa: RUF012 - the name and the type are pickle's


class _Forbidden(Exception):
    """A name that is not in ALLOWED."""


class _AllowListUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        present = present_class(module, name)  # an earlier release may have named it otherwise
        if present not in ALLOWED:
            raise _Forbidden(f"{module}.{name}")
        return super().find_class(*present)


_TAKE_ANOTHER: Final = "Take another snapshot, or learn anew from the log."
_LEARN_ANEW: Final = "Use the version of this program that wrote it, or learn anew from the log."


def _open(stored: bytes, source: str) -> tuple[Header, bytes]:
    start = len(MAGIC) + _LENGTH.size
    if not stored.startswith(MAGIC):
        _refuse(source, "it is not a model snapshot", "Give bytes that this program stored.")
    if len(stored) < start:
        _refuse(source, f"it is torn: {len(stored)} bytes are all there is", _TAKE_ANOTHER)
    end = start + _LENGTH.unpack_from(stored, len(MAGIC))[0]
    try:
        return msgspec.json.decode(stored[start:end], type=Header), stored[end:]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _refuse(source, f"its header cannot be read ({error})", _TAKE_ANOTHER, error)


def _check(header: Header, body: bytes, source: str) -> None:
    if not is_readable(header.format, FORMAT, SNAPSHOT_STEPS):
        _refuse(source, f"it has format {header.format}; this program reads format {FORMAT}", _LEARN_ANEW)
    if header.river != _RIVER:
        remedy = f"Install river=={header.river}, or learn anew from the log."
        _refuse(source, f"it holds models of River {header.river}; installed is {_RIVER}", remedy)
    if header.numpy.split(".")[0] != np.__version__.split(".")[0]:
        remedy = f"Install numpy=={header.numpy}, or learn anew from the log."
        _refuse(source, f"it holds arrays of numpy {header.numpy}; installed is {np.__version__}", remedy)
    if header.schema != schema() and header.schema not in SNAPSHOT_SCHEMAS:
        _refuse(source, "it was learned on other features, facts or experts", _LEARN_ANEW)
    if header.checksum != xxhash.xxh3_128_hexdigest(body):
        _refuse(source, "its body is torn or was changed", _TAKE_ANOTHER)


def _refuse(source: str, problem: str, remedy: str, cause: BaseException | None = None) -> NoReturn:
    raise UnusableSnapshot(source=source, problem=problem, remedy=remedy) from cause

"""What earlier releases stored under other names or in another form: the one place for aliases and version steps.

Everything here is plain data, or a function on bytes that imports nothing of the present program: a step belongs to the
version that it reads, while the names and layouts of the program go on. docs/state-formats.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

Class = tuple[str, str]  # module, name

# --- models: pickled classes and their attributes --------------------------------------------------------------------

# A class as a release has pickled it -> where it is now. A class that has not moved needs no line.
CLASSES: Final[dict[Class, Class]] = {
    # 0.1.1
    ("stream_app.core.drift", "Drift"): ("stream_app.core.model.drift", "Drift"),
    ("stream_app.core.drift", "DriftWatch"): ("stream_app.core.model.drift", "DriftWatch"),
    ("stream_app.core.experts.cells", "CellsExpert"): ("stream_app.core.model.experts.binned", "BinnedExpert"),
    ("stream_app.core.experts.linear", "LinearExpert"): ("stream_app.core.model.experts.linear", "LinearExpert"),
    ("stream_app.core.experts.recursive", "RecursiveLogistic"): (
        "stream_app.core.model.experts.recursive",
        "RecursiveLogistic",
    ),
    ("stream_app.core.experts.recursive", "Span"): ("stream_app.core.model.experts.recursive", "Span"),
    ("stream_app.core.experts.river_models", "PlainExpert"): (
        "stream_app.core.model.experts.river_models",
        "RiverBaselineExpert",
    ),
    ("stream_app.core.experts.river_models", "TreeExpert"): (
        "stream_app.core.model.experts.river_models",
        "TreeExpert",
    ),
    ("stream_app.core.experts.simple", "PriorExpert"): ("stream_app.core.model.experts.baselines", "BgNbdExpert"),
    ("stream_app.core.experts.simple", "RecencyExpert"): ("stream_app.core.model.experts.baselines", "RecencyExpert"),
    ("stream_app.core.learner", "Learner"): ("stream_app.core.model.churn_model", "ChurnModel"),
    ("stream_app.core.mixture", "Mixture"): ("stream_app.core.model.ensemble", "Ensemble"),
    ("stream_app.core.nowcast", "Nowcast"): ("stream_app.core.model.nowcast", "Nowcast"),
    ("stream_app.core.snapshot", "array"): ("stream_app.core.model.snapshot", "array"),
}

# A class, as it is named now -> attributes of its instances as a release has pickled them -> as they are named now.
ATTRIBUTES: Final[dict[Class, dict[str, str]]] = {}

# Hashes of names (`snapshot.schema`) that mean the same features, facts and experts as the present ones: only names
# have changed. One line for each release whose names were others.
SNAPSHOT_SCHEMAS: Final[frozenset[str]] = frozenset()

# Format of a snapshot -> the step that turns a learner of that format, in place, into one of the next.
SNAPSHOT_STEPS: Final[dict[int, Callable[[Any], None]]] = {}

# --- customers -------------------------------------------------------------------------------------------------------

Step = Callable[[Sequence[bytes]], list[bytes]]

# Version of a customer's state -> the step that turns contents of that version into the next one's. A content is the
# value without its checksum; its first byte is the version.
STATE_STEPS: Final[dict[int, Step]] = {}

# Hash of names (`codec.CODEC_SCHEMA`) in the summary of a partition -> the version of the states that it goes with.
# The hash changes with every name of a fact, mark, feature or expert; one line for each release whose hash was another.
STATE_SCHEMAS: Final[dict[str, int]] = {}

# An expert as a release has named it -> as it is named now.
EXPERTS: Final[dict[str, str]] = {}


def present_class(module: str, name: str) -> Class:
    """Return where a class of a pickle is now.

    >>> present_class("stream_app.core.unmoved", "Thing")
    ('stream_app.core.unmoved', 'Thing')
    """
    return CLASSES.get((module, name), (module, name))


def present_expert(name: str) -> str:
    """Return what an expert is named now.

    >>> present_expert("linear")
    'linear'
    """
    return EXPERTS.get(name, name)


def rename_attributes(value: object, own: str, renamed: Mapping[Class, Mapping[str, str]] = ATTRIBUTES) -> None:
    """Rename attributes of an object that was unpickled, and of all that it holds.

    Args:
        value: the object; lists, tuples and values of dicts are looked into, and instances of own classes.
        own: the package whose classes are own.
        renamed: as `ATTRIBUTES`.
    """
    if not renamed:
        return
    for one in _instances(value, own, set()):
        names = renamed.get((type(one).__module__, type(one).__qualname__), {})
        for old, new in names.items():
            if old in vars(one):
                vars(one)[new] = vars(one).pop(old)


def _instances(value: object, own: str, seen: set[int]) -> Iterator[Any]:
    """All instances of own classes that have a dict, each once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, list | tuple):
        inner = list(value)
    elif isinstance(value, dict):
        inner = list(value.values())
    elif type(value).__module__.startswith(own) and hasattr(value, "__dict__"):
        yield value
        inner = list(vars(value).values())
    for one in inner:
        yield from _instances(one, own, seen)


def is_readable(version: int, present: int, steps: Mapping[int, Any]) -> bool:
    """Return whether steps lead from a version, or a format, to the present one.

    >>> is_readable(3, 3, {}), is_readable(2, 3, {}), is_readable(2, 3, {2: list})
    (True, False, True)
    """
    return version == present or (version < present and all(at in steps for at in range(version, present)))


def upgraded(contents: Sequence[bytes], present: int, steps: Mapping[int, Step] = STATE_STEPS) -> list[bytes]:
    r"""Return contents of readable versions as the present one has them, in the same order.

    Args:
        contents: of customers' states, each without its checksum.
        present: version.
        steps: as `STATE_STEPS`.

    >>> upgraded([b"\x02ann", b"\x03bob"], 3, {2: lambda old: [b"\x03" + one[1:].upper() for one in old]})
    [b'\x03ANN', b'\x03bob']
    """
    found = list(contents)
    for version in range(min((one[0] for one in found), default=present), present):
        places = [place for place, one in enumerate(found) if one[0] == version]
        if places:
            for place, new in zip(places, steps[version]([found[at] for at in places]), strict=True):
                found[place] = new
    return found

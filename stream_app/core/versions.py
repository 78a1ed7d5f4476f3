"""Compatibility with earlier releases: aliases of stored names, and upgrade steps between versions.

Everything here is plain data or a function on bytes and imports nothing from the current program: a step belongs to the
version it reads, while current names and layouts change. A step of a snapshot can only change the model that was read:
`_use_pipelines` depends on the current experts (`warm_start`, `scaler`, `export`), and tests hold it to stored models.
docs/state-formats.md describes how to add a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

# Role of an outbox record's topic as stored by an earlier release -> current role
ROLES: Final = {"contacts": "control"}  # before 0.3, alerts were opened through the contacts topic

Class = tuple[str, str]  # module, name

# --- models -----------------------------------------------------------------------------------------------------------

# Class as pickled by an earlier release -> current class. Classes that have not moved need no entry.
CLASSES: Final[dict[Class, Class]] = {
    # 0.1.1
    ("stream_app.core.drift", "Drift"): ("stream_app.core.model.drift", "Drift"),
    ("stream_app.core.drift", "DriftWatch"): ("stream_app.core.model.drift", "DriftWatch"),
    ("stream_app.core.experts.cells", "CellsExpert"): ("stream_app.core.model.experts.binned", "BinnedExpert"),
    ("stream_app.core.experts.linear", "LinearExpert"): ("stream_app.core.model.experts.linear", "LinearExpert"),
    ("stream_app.core.experts.recursive", "RecursiveLogistic"): (
        "stream_app.core.model.estimators.recursive_logistic",
        "RecursiveLogisticRegression",
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
    # 0.2.0
    ("stream_app.core.model.experts.recursive", "RecursiveLogistic"): (
        "stream_app.core.model.estimators.recursive_logistic",
        "RecursiveLogisticRegression",
    ),
}

# Hashes of names (`snapshot.schema`) of earlier releases that differ from the current one in names only.
SNAPSHOT_SCHEMAS: Final[frozenset[str]] = frozenset()


def _use_pipelines(model: Any) -> None:
    """Replace the regressions of format 4 by River pipelines in the same state: new experts that continue from it.

    Format 4 has learned nothing from the staff. Its experts were always the same, and it held which of them are mixed.
    """
    model.feedback = None
    model.span = model._mixture._span
    for name in ("_mixed", "_cheap", "_prior"):
        vars(model).pop(name)
    for place, old in enumerate(model.experts):
        if old.name in ("linear", "cells"):
            stored = old._model
            new = type(old)(stored._span)
            new.regression.warm_start(new.inputs, stored.mean, stored._precision)
            if old.name == "linear":
                flat = old._variance <= 1e-12  # format 4 ignored these features
                new.scaler.counts.update(dict.fromkeys(new.inputs, old._count))
                new.scaler.means.update(zip(new.inputs, old._mean.tolist(), strict=True))
                new.scaler.vars.update(zip(new.inputs, (old._variance * ~flat).tolist(), strict=True))
            new.export()
            model.experts[place] = new
        elif old.name == "recency":  # format 4 had the input recency - 3
            (intercept, slope), shift = old._scale, np.array([[1.0, 0.0], [3.0, 1.0]])
            new = type(old)()
            new.regression.warm_start((), [intercept - 3.0 * slope, slope], shift @ old._curvature @ shift.T)
            new.export()
            model.experts[place] = new


# Snapshot format -> step that upgrades a churn model of that format in place to the next one, for example by renaming
# attributes.
SNAPSHOT_STEPS: Final[dict[int, Callable[[Any], None]]] = {
    2: lambda model: setattr(model, "lost", None),  # 0.1.1 does not predict which customers are lost
    3: lambda model: setattr(model, "typical_order", None),  # 0.2.0 does not predict what customers will bring
    4: _use_pipelines,
}

# --- customers -------------------------------------------------------------------------------------------------------

Step = Callable[[Sequence[bytes]], list[bytes]]

# Version of a customer's state -> step that upgrades contents of that version to the next one. The contents are the
# stored value without its checksum; the first byte is the version.
STATE_STEPS: Final[dict[int, Step]] = {}

# Hash of names (`states.CODEC_SCHEMA`) in the summary of a partition -> version of its states. The hash changes with
# the name of any slot, counter, feature or expert.
STATE_SCHEMAS: Final[dict[str, int]] = {}

# Expert name in an earlier release -> current name.
EXPERTS: Final[dict[str, str]] = {}


def present_class(module: str, name: str) -> Class:
    """Return the current module and name of a pickled class.

    >>> present_class("stream_app.core.unmoved", "Thing")
    ('stream_app.core.unmoved', 'Thing')
    """
    return CLASSES.get((module, name), (module, name))


def is_readable(version: int, present: int, steps: Mapping[int, Any]) -> bool:
    """Return whether there are steps from a version or format to the current one.

    >>> is_readable(3, 3, {}), is_readable(2, 3, {}), is_readable(2, 3, {2: list})
    (True, False, True)
    """
    return version == present or (version < present and all(at in steps for at in range(version, present)))


def upgraded(contents: Sequence[bytes], present: int, steps: Mapping[int, Step] = STATE_STEPS) -> list[bytes]:
    r"""Upgrade contents of readable versions to the current version, keeping their order.

    Args:
        contents: customers' encoded states without their checksums.
        present: the current version.
        steps: upgrade steps, in the form of `STATE_STEPS`.

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

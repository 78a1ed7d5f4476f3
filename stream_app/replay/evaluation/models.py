"""Model metrics of a replay: versions, expert weights over time, drift and feature importances."""

from __future__ import annotations

from typing import Final

import numpy as np

from stream_app.replay.evaluation.calendar import iso_day
from stream_app.replay.evaluation.evaluation import Evaluation
from stream_app.replay.results import Version

POINTS: Final = 60  # maximum number of versions shown


def model_figures(evaluation: Evaluation) -> dict[str, object]:
    """Return the metrics of the models, with features in descending order of importance.

    A fall of the log-loss is an improvement and not reported as drift.
    """
    results, zone = evaluation.results, evaluation.protocol.zone
    return {
        "versions": len(results.versions),
        "course": [
            {
                "number": version.number,
                "from": iso_day(version.effective_at, zone),
                "examples": version.examples,
                "weights": dict(sorted(version.weights.items())),
            }
            for version in thinned(results.versions)
        ],
        "drift": [
            {"on": iso_day(d.at, zone), "what": d.what, "before": d.before, "after": d.after}
            for d in sorted(results.drift, key=lambda d: d.at)
            if d.after > d.before
        ],
        "importances": dict(sorted(results.importances.items(), key=lambda item: (-item[1], item[0]))),
    }


def thinned(versions: list[Version], points: int = POINTS) -> list[Version]:
    """Return at most `points` evenly spaced versions, including the first and the last.

    >>> [v.number for v in thinned([Version(i, 0, 0, {}) for i in range(9)], points=3)]
    [0, 4, 8]
    """
    if len(versions) <= points:
        return list(versions)
    return [versions[int(i)] for i in np.linspace(0, len(versions) - 1, points).round()]

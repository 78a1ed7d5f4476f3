"""The floor: the minimum work of a River program on a log.

It reads the file line by line, decodes each line with msgspec into a typed event, and predicts once with River's scaler
and logistic regression on 24 features.
"""

from __future__ import annotations

import time
from itertools import cycle
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from river import linear_model, preprocessing

from stream_app.core.events.schema import Event

FEATURES: Final = 24
_LEARNED: Final = 2_000  # rows that the model learns from first: a model without weights predicts for free
_ROWS: Final = 512

_decoder = msgspec.json.Decoder(Event)


class Floor:
    """A trained pipeline, and rows to predict."""

    def __init__(self, seed: int = 1) -> None:
        table = np.random.default_rng(seed).normal(size=(_ROWS, FEATURES))
        names = [f"feature_{place}" for place in range(FEATURES)]
        self._rows = [dict(zip(names, row, strict=True)) for row in table.tolist()]
        self._model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
        for row, _ in zip(cycle(self._rows), range(_LEARNED), strict=False):
            self._model.learn_one(row, row["feature_0"] + row["feature_1"] > 0)

    def run(self, log: Path) -> tuple[int, float]:
        """Process a log in the wire format. Return its number of events and the CPU time, seconds."""
        decode, predict = _decoder.decode, self._model.predict_proba_one
        rows = cycle(self._rows)
        events, started = 0, time.process_time()
        with log.open("rb") as lines:
            for line in lines:
                decode(line)
                predict(next(rows))
                events += 1
        return events, time.process_time() - started

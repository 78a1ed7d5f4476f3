"""Columns that collect the decisions of a replay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from stream_app.core.arrays import Floats
from stream_app.core.model.labels import Matured, Pending
from stream_app.core.model.scores import Scores
from stream_app.core.partition.candidates import monthly_worth
from stream_app.core.segments.lifecycle_stage import stages
from stream_app.core.state.frame import StateFrame
from stream_app.replay.results import OPEN, Decisions

Number = TypeVar("Number", bound=np.generic)
PLANNED: Final = ("lost_probability", "expected_value")
_FLOATS: Final = ("probability", "recency_days", "order_days", "money", "monthly_worth", "usual_gap_days")


class DecisionColumns:
    """Collects decisions, and later their labels, as columns."""

    def __init__(self, expert_names: tuple[str, ...]) -> None:
        self._expert_names = expert_names
        self._chunks: defaultdict[str, list[npt.NDArray[np.generic]]] = defaultdict(list)
        self._customers: dict[str, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def customer_index(self, name: str) -> int:
        """Return the index of a customer, assigned on their first decision or order."""
        return self._customers.setdefault(name, len(self._customers))

    def add(
        self,
        decisions: list[Pending],
        scores: Scores,
        view: StateFrame,
        lost_after_days: float,
        planned: Mapping[str, Floats] = MappingProxyType({}),
    ) -> None:
        """Append the decisions of one step, ordered by (decided_at, customer), and assign them numbers.

        Args:
            decisions: the decisions.
            scores: one row per decision.
            view: one row per decision.
            lost_after_days: as in the settings.
            planned: columns of PLANNED, if calls are planned.
        """
        self._append(dict(planned))
        for index, pending in enumerate(decisions, start=self._count):
            pending.index = index
        self._count += len(decisions)
        self._append(
            {
                "customer": np.array([self.customer_index(p.customer) for p in decisions], dtype=np.int64),
                "decided_at": np.array([p.decided_at for p in decisions], dtype=np.int64),
                "source": np.full(len(decisions), scores.source, dtype=np.int8),
                "version": np.full(len(decisions), scores.version, dtype=np.int32),
                "log_odds": scores.log_odds,
                "stage": stages(view, lost_after_days),
                "probability": scores.probability,
                "recency_days": view.recency,
                "order_days": view.order_days,
                "money": view["money"],
                "monthly_worth": monthly_worth(view),
                "usual_gap_days": np.where(view.repeats > 0, view.mean_gap, np.nan),
            }
        )

    def label(self, matured: list[Matured]) -> None:
        """Set the labels of matured decisions."""
        self._append(
            {
                "matured": np.array([one.pending.index for one in matured], dtype=np.int64),
                "label": np.array([one.label for one in matured], dtype=np.int8),
                "matured_at": np.array([one.matured_at for one in matured], dtype=np.int64),
            }
        )

    def decisions(self) -> Decisions:
        """Return all decisions."""
        log_odds = self._column("log_odds", np.float32).reshape(self._count, len(self._expert_names))
        experts = {
            name: 1.0 / (1.0 + np.exp(-log_odds[:, place].astype(np.float64)))
            for place, name in enumerate(self._expert_names)
        }
        label, matured_at = np.full(self._count, OPEN, dtype=np.int8), np.zeros(self._count, dtype=np.int64)
        matured = self._column("matured", np.int64)
        label[matured], matured_at[matured] = self._column("label", np.int8), self._column("matured_at", np.int64)
        return Decisions(
            customer=self._column("customer", np.int64),
            customers=list(self._customers),
            decided_at=self._column("decided_at", np.int64),
            label=label,
            matured_at=matured_at,
            source=self._column("source", np.int8),
            version=self._column("version", np.int32),
            experts=experts,
            stage=self._column("stage", np.int8),
            **{name: self._column(name, np.float64) for name in _FLOATS},
            **{name: self._column(name, np.float64) for name in PLANNED if name in self._chunks},
        )

    def _append(self, columns: dict[str, npt.NDArray[Any]]) -> None:
        for name, values in columns.items():
            # Copied, since a view of one row would keep the frame's whole matrix in memory.
            self._chunks[name].append(np.array(values))

    def _column(self, name: str, dtype: type[Number]) -> npt.NDArray[Number]:
        chunks = self._chunks[name]
        return np.concatenate(chunks).astype(dtype, copy=False) if chunks else np.zeros(0, dtype=dtype)

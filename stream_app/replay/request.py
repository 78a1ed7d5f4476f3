"""Parameters and observer of a replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stream_app.core.settings import Settings
from stream_app.ingest import LogFormat, Progress

if TYPE_CHECKING:  # its import takes seconds
    from stream_app.core.model.expert_checks import Cost


@dataclass(frozen=True)
class Request:
    """Parameters of a replay."""

    logs: tuple[str, ...]
    form: LogFormat
    settings: Settings
    out: Path
    partitions: int = 1
    predictions: str = "csv"
    lang: str = "en"
    max_rejected: float = 0.01  # maximum share of rejected lines
    currency: str = ""
    contact_cost: float = 0.0  # of one call, in the currency of amounts; 0: unknown
    not_after: datetime | None = None  # reject later events; the system clock is not used
    command: str = ""  # that reproduces the replay


class Watcher:
    """Observer of a replay's progress. All methods do nothing by default."""

    def checked(self, costs: Mapping[str, Cost]) -> None:
        """Called at the start with the cost of each imported model."""

    def reading(self, progress: Progress) -> None:
        """Called while the log is scanned."""

    def replaying(self, events: int, of: int, decisions: int) -> None:
        """Called while events are replayed."""

    def writing(self, what: str) -> None:
        """Called before a file is written."""

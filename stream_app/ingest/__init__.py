"""Reads recorded logs (JSON Lines, Parquet and mapped tables) in replay order."""

from __future__ import annotations

from stream_app.ingest.formats import LogFormat
from stream_app.ingest.log import Log, OnProgress, Progress, open_log
from stream_app.ingest.rejections import Rejection, RejectionLog
from stream_app.ingest.summary import LogSummary
from stream_app.mapping.files import load_mapping, mapping_from_options, shipped_mappings
from stream_app.mapping.mapping import Mapping

__all__ = [
    "Log",
    "LogFormat",
    "LogSummary",
    "Mapping",
    "OnProgress",
    "Progress",
    "Rejection",
    "RejectionLog",
    "load_mapping",
    "mapping_from_options",
    "open_log",
    "shipped_mappings",
]

"""Readers of recorded logs: JSON lines, Parquet and foreign tables by a mapping, in the order of replay."""

from __future__ import annotations

from stream_app.replay.readers.formats import LogFormat
from stream_app.replay.readers.log import Log, OnProgress, Progress, open_log
from stream_app.replay.readers.mapping import Mapping
from stream_app.replay.readers.mapping_files import load_mapping, mapping_from_options, shipped_mappings
from stream_app.replay.readers.rejections import Rejection, RejectionLog
from stream_app.replay.readers.summary import LogSummary

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

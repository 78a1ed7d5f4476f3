"""Errors of model snapshots and versions."""

from __future__ import annotations

from stream_app.errors.base import BAD_INPUT, UNUSABLE_DATA, ChurnMonitorError


class UnusableSnapshot(ChurnMonitorError):
    """The model snapshot {source} cannot be used: {problem}. {remedy}"""

    exit_code = UNUSABLE_DATA


class UnknownVersion(ChurnMonitorError):
    """Model version {number} is not kept. Available versions: {kept}."""

    exit_code = BAD_INPUT


class VersionOutOfOrder(ChurnMonitorError):
    """Model version {number} cannot follow version {newest}: version numbers must increase. Resume from the latest
    checkpoint.
    """

    exit_code = UNUSABLE_DATA

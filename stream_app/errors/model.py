"""Errors of model snapshots and versions."""

from __future__ import annotations

from stream_app.errors.base import InvalidInput, UnusableData


class UnusableSnapshot(UnusableData):
    """The model snapshot {source} cannot be used: {problem}. {remedy}"""


class UnknownVersion(InvalidInput):
    """Model version {number} is not kept. Available versions: {kept}."""


class VersionOutOfOrder(UnusableData):
    """Model version {number} cannot follow version {newest}: version numbers must increase. Resume from the latest
    checkpoint.
    """

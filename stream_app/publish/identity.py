"""Computes the id of a log: equal ids mean that log and settings produce the same records."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import xxhash

from stream_app.core.settings import Settings
from stream_app.ingest import Log

HEAD_BYTES: Final = 65_536
_VERSION: Final = 2  # version of the rules that turn a log into records


def log_id(log: Log, settings: Settings, partitions: int) -> bytes:
    """Return the id of a log, 16 hexadecimal digits.

    The id covers the name, size and beginning of each file, and the settings that shape the stream: the mapping of
    lines to events, the times of allocation rounds, and the number of partitions. The location of the files does not
    matter.
    """
    digest = xxhash.xxh3_64()
    for source in log.sources:
        digest.update(msgspec.json.encode([Path(source.name).name, source.size]))
        with source.path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
    shaping = [_VERSION, log.mapping, settings.zone, settings.working_days, settings.nomination_hour, partitions]
    digest.update(msgspec.json.encode(shaping))
    return digest.hexdigest().encode("ascii")

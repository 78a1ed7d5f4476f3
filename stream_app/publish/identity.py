"""Which log is it, and with which settings: the same id means that the same stream of records comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
import xxhash

from stream_app.core.settings import Settings
from stream_app.ingest import Log

HEAD_BYTES: Final = 65_536
_VERSION: Final = 2  # of the rules by which a log becomes records; another one is another stream


def log_id(log: Log, settings: Settings, partitions: int) -> bytes:
    """An id of 16 hexadecimal digits.

    Of the files it takes name, size and beginning; of the settings what shapes the stream: how lines become events,
    when the shop nominates, and over how many partitions customers are spread. Where the files lie doesn't matter.
    """
    digest = xxhash.xxh3_64()
    for source in log.sources:
        digest.update(msgspec.json.encode([Path(source.name).name, source.size]))
        with source.path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
    shaping = [_VERSION, log.mapping, settings.zone, settings.working_days, settings.nomination_hour, partitions]
    digest.update(msgspec.json.encode(shaping))
    return digest.hexdigest().encode("ascii")

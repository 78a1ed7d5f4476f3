"""Storage of rejected lines, with the place and reason of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

MAX_TEXT_CHARS: Final = 2_000


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A rejected line.

    Attributes:
        file: name of the file.
        line: line number from 1, or row number in a Parquet file; 0 for the whole file.
        reason: why the line was rejected.
        field: invalid field of the wire schema; empty if the whole line is invalid.
        text: the line, truncated to 2,000 characters.
    """

    file: str
    line: int
    reason: str
    field: str = ""
    text: str = ""


class RejectionLog:
    """Rejected lines, stored as JSON lines in a file; only the counts are held in memory.

    Iterate to read them back. `by_field` counts them by field.

    >>> import contextlib, tempfile
    >>> with (
    ...     tempfile.TemporaryDirectory() as folder,
    ...     contextlib.closing(RejectionLog(Path(folder, "rejected.jsonl"))) as rejected,
    ... ):
    ...     rejected.add(Rejection("log.csv", 7, "a wrong date", "occurred_at", "x" * 3000))
    ...     [(r.line, len(r.text)) for r in rejected], dict(rejected.by_field)
    ([(7, 2000)], {'occurred_at': 1})
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_field: Counter[str] = Counter()
        self._file = path.open("wb")
        self._encoder = msgspec.json.Encoder()

    @property
    def count(self) -> int:
        """Number of rejected lines."""
        return self.by_field.total()

    def add(self, rejection: Rejection) -> None:
        """Write a rejected line. Its text may contain undecodable bytes, escaped as lone surrogates."""
        kept = msgspec.structs.replace(
            rejection, reason=_plain(rejection.reason), text=_plain(rejection.text[:MAX_TEXT_CHARS])
        )
        self._file.write(self._encoder.encode(kept) + b"\n")
        self.by_field[rejection.field] += 1

    def __iter__(self) -> Iterator[Rejection]:
        if not self._file.closed:
            self._file.flush()
        decoder = msgspec.json.Decoder(Rejection)
        with self.path.open("rb") as lines:
            for line in lines:
                yield decoder.decode(line)

    def close(self) -> None:
        """Flush and close the file without deleting it."""
        self._file.close()


def _plain(text: str) -> str:
    """Return text that UTF-8 can encode: bytes that were escaped as lone surrogates are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""The lines that could not be read: each kept with its place and its reason, all of them counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

MAX_TEXT_CHARS: Final = 2_000


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A line that could not be read.

    file, line: where it begins, counted from 1 (the row number in a Parquet file); line 0 means the whole file.
    field: the wire field to blame, empty for the whole line. text: the line itself, cut after 2,000 characters.
    """

    file: str
    line: int
    reason: str
    field: str = ""
    text: str = ""


class RejectionLog:
    """Rejections as JSON lines in a file, so that a log of nothing but rubbish fits into memory too.

    Iterating reads back what was added. `count` is the number of rejections, `by_field` that number for each field.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, RejectionLog(Path(folder, "rejected.jsonl")) as rejected:
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
        """How many lines were rejected."""
        return self.by_field.total()

    def add(self, rejection: Rejection) -> None:
        """Keep one more; the text may come from bytes that are not UTF-8 (escaped as lone surrogates)."""
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
        """Write out what is buffered; the file stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _plain(text: str) -> str:
    """Text that UTF-8 can write: bytes that were escaped as lone surrogates become replacement characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""Text tables: CSV and similar formats, and whitespace-separated columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from stream_app.errors import EmptyLog
from stream_app.ingest.sources import Source, SourceStream
from stream_app.mapping.mapping import FileLayout, delimiter_of

# A file without line breaks must not be read into memory as one line.
MAX_LINE_CHARS: Final = 1_048_576
CHUNK_CHARS: Final = 65_536
_DELIMITERS: Final = (",", "\t", ";", "|")
_BLANKS: Final = "whitespace"
_OPEN_QUOTE: Final = "a quoted field that starts here is not closed properly: double the quotes within fields"


class TextTable:
    """A text table (see tables.Table). Undecodable bytes affect only the field that contains them.

    Chunks in which every line is one row are split in one step, all others record by record.
    """

    def __init__(self, source: Source, layout: FileLayout) -> None:
        self._stream = source.open()
        self._lines = _Lines(self._stream, layout.encoding)
        self._line = 1
        self._chunk: Sequence[str] = [""]
        self._place = 0
        self.header: list[str] = list(layout.header)
        self._delimiter = delimiter_of(layout)
        if self._delimiter == "auto":
            self._delimiter = self._commonest_delimiter()
        if not self.header:
            self.header = [name.strip() for name in self._record()]
            self._line += len(self._lines.seen)
        if not any(self.header):
            self.close()
            raise EmptyLog(file=source.name)

    def _commonest_delimiter(self) -> str:
        first = next(self._lines, "")
        self._lines.push_back([first] if first else [])
        return max(_DELIMITERS, key=first.count)

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """See tables.Table. Blank lines are skipped."""
        while lines := self._lines.take():
            plain = self._plain_rows(lines)
            if plain is None:
                self._lines.push_back(lines)
                yield from self._careful_rows()
                continue
            self._chunk, first = lines, self._line
            for self._place, row in enumerate(plain):
                yield first + self._place, row
            self._line = first + len(lines)

    def _plain_rows(self, lines: Sequence[str]) -> list[list[str]] | None:
        """Return the rows of a chunk if each line is one row of the right width, otherwise None."""
        if lines[-1][-1] != "\n":
            return None
        try:
            # In strict mode, an open quote at the end of the chunk is an error.
            rows = (
                [line.split() for line in lines]
                if self._delimiter == _BLANKS
                else list(csv.reader(lines, delimiter=self._delimiter, strict=True))
            )
        except csv.Error:
            return None
        return rows if len(rows) == len(lines) and set(map(len, rows)) == {len(self.header)} else None

    def _careful_rows(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the rows of the pushed-back lines, reading more lines to complete the last row if needed."""
        width = len(self.header)
        while self._lines.pushed:
            row, line = self._record(), self._line
            self._chunk, self._place = ["".join(self._lines.seen)], 0
            self._line += len(self._lines.seen)
            if len(row) == width or isinstance(row, str):
                yield line, row
            elif any(field.strip() for field in row):
                yield line, f"{len(row)} columns instead of {width}: check the delimiter and the quotes"

    def _record(self) -> list[str] | str:
        """Return the next record, an empty list at the end of the file, or the reason why it cannot be split."""
        lines = self._lines
        lines.seen.clear()
        if self._delimiter == _BLANKS:
            return next(lines, "").split()
        row: list[str] | str
        try:
            row = next(csv.reader(lines, delimiter=self._delimiter), [])
        except csv.Error as error:
            row = f"{error}: check the delimiter and the quotes"
        if len(lines.seen) > 1 and self.header and len(row) != len(self.header):
            # A stray quote has merged the following lines: reject only the first one and read the others again.
            lines.push_back(lines.seen[1:])
            del lines.seen[1:]
            return _OPEN_QUOTE
        return row

    def text(self) -> str:
        """See tables.Table."""
        return self._lines.cut_off or self._chunk[self._place].rstrip("\r\n")

    @property
    def damage(self) -> str:
        """See tables.Table."""
        return self._stream.damage

    @property
    def position(self) -> int:
        """See tables.Table."""
        return self._stream.position

    def close(self) -> None:
        """See tables.Table."""
        self._lines.close()


class _Lines(Iterator[str]):
    """Lines of a text, with push-back; `seen` holds the lines of the current record."""

    def __init__(self, stream: SourceStream, encoding: str) -> None:
        self.seen: list[str] = []
        self.pushed: list[str] = []
        self.cut_off = ""
        self._stream = stream
        encoding = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8"} else encoding
        buffer = io.BufferedReader(stream, CHUNK_CHARS)
        self._text = io.TextIOWrapper(buffer, encoding, errors="surrogateescape", newline="")

    def take(self) -> list[str]:
        """Return the next chunk of lines, or an empty list at the end."""
        if self.pushed:
            lines = self.pushed[::-1]
            self.pushed.clear()
            return lines
        chunk = self._text.read(CHUNK_CHARS)
        if chunk[-1:] != "\n":
            chunk += self._text.readline(MAX_LINE_CHARS)
        # Not splitlines(), which also splits at form feeds and Unicode line separators.
        return list(io.StringIO(chunk, newline=""))

    def __next__(self) -> str:
        line = self.pushed.pop() if self.pushed else self._text.readline(MAX_LINE_CHARS)
        if line[-1:] != "\n":
            line = self._without_line_end(line)
        self.seen.append(line)
        return line

    def _without_line_end(self, line: str) -> str:
        """Return an unterminated line: the file's last line unless truncated, or the beginning of an overlong line."""
        if len(line) >= MAX_LINE_CHARS:
            while (part := self._text.readline(MAX_LINE_CHARS)) and not part.endswith(("\n", "\r")):
                pass
            return line[:CHUNK_CHARS]
        if line and self._stream.damage:
            # A truncated line may look complete, for example with an amount of `1` instead of `100`.
            self.cut_off, line = line, ""
        if not line:
            raise StopIteration
        return line

    def push_back(self, lines: Sequence[str]) -> None:
        """Put lines back at the front of the text, to be read again."""
        self.pushed.extend(reversed(lines))

    def close(self) -> None:
        """Close the text and its stream."""
        self._text.close()

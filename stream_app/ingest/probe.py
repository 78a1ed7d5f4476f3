"""Checks the first lines of a log and raises errors that suggest the right options."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from typing import Final

import msgspec

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import Rejected, decode
from stream_app.errors import EmptyLog, NothingReadable, UnusableLog, WrongFormat
from stream_app.ingest.mapped import open_mapped
from stream_app.ingest.sources import PARQUET, Source
from stream_app.ingest.tables import open_table
from stream_app.ingest.wire import BLOCK_BYTES, BOM, decode_message
from stream_app.mapping.columns import Columns, likely_column
from stream_app.mapping.files import load_mapping, shipped_mappings
from stream_app.mapping.mapping import FileLayout, Mapping
from stream_app.mapping.rows import RowReader

PROBED_LINES: Final = 1_000
# File types often passed by mistake; a zip archive is usually a spreadsheet.
_FOREIGN: Final = {
    b"PK\x03\x04": ("it is a zip archive or an Excel file", "Unpack it, or save the sheet as CSV."),
    b"\xd0\xcf\x11\xe0": ("it is an old Excel file (.xls)", "Save the sheet as CSV."),
    b"\xff\xfe": ("it is text in UTF-16", 'Convert it to UTF-8, or map it with encoding = "utf-16".'),
}


def first_with_content(sources: Sequence[Source]) -> Source:
    """Return the first file that is not empty. Raise EmptyLog if there is none."""
    for source in sources:
        if source.size:
            return source
    raise EmptyLog(file=", ".join(source.name for source in sources[:3]))


def probe(sources: Sequence[Source], mapping: Mapping | None, bounds: Bounds) -> None:
    """Raise UnusableLog if the log is empty, lacks a column, or none of its first lines can be read."""
    first = first_with_content(sources)
    if mapping is None:
        _probe_wire(first, bounds)
        return
    _refuse_foreign(first, _start(first), "a table", mapping.file.encoding)
    for source in sources:
        if source.size:
            open_mapped(source, mapping).close()
    _probe_table(first, mapping, bounds)


def refuse_wrong_table(source: Source, name: str) -> None:
    """Raise WrongFormat if a file is not in the given format (`csv` or `parquet`)."""
    if source.magic == PARQUET:  # other formats are accepted for both
        return
    start = _start(source)
    _refuse_foreign(source, start, name)
    looks_json = start.lstrip().startswith((b"{", b"["))
    if name == "parquet" or looks_json:
        raise WrongFormat(
            file=source.name,
            expected=name,
            found="its lines are JSON" if looks_json else "it is not a Parquet file",
            remedy=f"Use --format {'jsonl' if looks_json else 'csv'}.",
        )


def _start(source: Source) -> bytes:
    with source.open() as stream:
        return stream.read(BLOCK_BYTES).removeprefix(BOM)


def _refuse_foreign(source: Source, start: bytes, expected: str, encoding: str = "utf-8") -> None:
    for magic, (found, remedy) in _FOREIGN.items():
        if start.startswith(magic) and not encoding.lower().startswith("utf-16"):
            raise WrongFormat(file=source.name, expected=expected, found=found, remedy=remedy)


def _probe_table(source: Source, mapping: Mapping, bounds: Bounds) -> None:
    bad: list[tuple[int, Rejected]] = []
    with closing(open_mapped(source, mapping)) as table:
        reader = RowReader(mapping, Columns(source.name, table.header), bounds)
        for line, row in islice(table.rows(), PROBED_LINES):
            event = Rejected(row) if isinstance(row, str) else reader.read(row, "probe")
            if not isinstance(event, Rejected):
                return
            bad.append((line, event))
    if bad:
        raise _nothing_readable(source, bad[0], len(bad), f"The columns are: {', '.join(table.header)}.")


def _nothing_readable(source: Source, first: tuple[int, Rejected], lines: int, remedy: str) -> NothingReadable:
    line, why = first
    field = why.field or "(the whole line)"
    return NothingReadable(file=source.name, lines=lines, line=line, field=field, reason=why.reason, remedy=remedy)


def _probe_wire(source: Source, bounds: Bounds) -> None:
    start = _start(source)
    numbered = enumerate(start.split(b"\n")[:PROBED_LINES], 1)
    lines = [(number, line) for number, line in numbered if line.strip()]
    if not lines:
        raise EmptyLog(file=source.name)
    _refuse_foreign(source, start, "JSON lines")
    bad = [(number, problem) for number, line in lines if (problem := bounds.problem(decode(line)))]
    if len(bad) == len(lines) and all(isinstance(decode_message(line), Rejected) for _, line in lines):
        raise _not_json_lines(source, lines[0][1]) or _nothing_readable(
            source,
            bad[0],
            len(bad),
            f"The fields are: {_keys(lines[0][1])}. `stream-app schema` prints the expected schema.",
        )


def _keys(line: bytes) -> str:
    try:
        return ", ".join(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "(the first line is not a JSON object)"


def _not_json_lines(source: Source, line: bytes) -> WrongFormat | None:
    """Return the error for a file that is not JSON lines, or None if its first line is a JSON object."""
    text = line.strip()
    if text.startswith(PARQUET):
        return _instead(source, "it is a Parquet file", "Use --format parquet.")
    if text.startswith(b"["):
        return _instead(source, "it is one JSON array", "Write one event per line: jq -c '.[]'.")
    if text == b"{":
        return _instead(source, "an event spans several lines", "Write one event per line: jq -c '.'.")
    return None if text.startswith(b"{") else _table_instead(source, text.decode("utf-8", "replace"))


def _instead(source: Source, found: str, remedy: str) -> WrongFormat:
    return WrongFormat(file=source.name, expected="JSON lines", found=found, remedy=remedy)


def _table_instead(source: Source, line: str) -> WrongFormat:
    """Return the error for a table passed as JSON lines. Its remedy gives the options to read the table."""
    table = open_table(source, FileLayout(), lambda names: range(len(names)))
    table.close()
    if len(table.header) < 2:
        return _instead(source, f"its first line is `{line[:200]}`", "To read a table, see docs/reference/mappings.md.")
    found = f"it is a table with the columns {', '.join(table.header)}"
    for name in shipped_mappings():
        if _fits(source, load_mapping(name)):
            return _instead(source, found, f"Use --format {name}.")
    guess = {field: likely_column(field, [field], table.header) for field in ("customer_id", "occurred_at")}
    options = ",".join(f"{field}={column or 'COLUMN'}" for field, column in guess.items())
    return _instead(source, found, f"Try --format csv --columns {options} --kind order.")


def _fits(source: Source, mapping: Mapping) -> bool:
    """Return whether a mapping that uses the file's header can read the first lines."""
    if mapping.file.header:
        return False
    try:
        _probe_table(source, mapping, Bounds.until(None))
    except UnusableLog:
        return False
    return True

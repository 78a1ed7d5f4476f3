"""Chooses the mapping based on the options --format, --columns, --kinds and --kind."""

from __future__ import annotations

from collections.abc import Mapping as Dict, Sequence
from contextlib import closing
from itertools import islice
from typing import Final

import msgspec

from stream_app.errors import BadMapping, UnusableLog
from stream_app.ingest.probe import first_with_content, refuse_wrong_table
from stream_app.ingest.sources import Source
from stream_app.ingest.tables import open_table
from stream_app.mapping.checks import REQUIRED
from stream_app.mapping.columns import Columns, likely_column, wire_columns
from stream_app.mapping.fields import SUBKINDS
from stream_app.mapping.files import load_mapping, mapping_from_options
from stream_app.mapping.mapping import FileLayout, Mapping

JSON_LINES: Final = "jsonl"
TABLES: Final = ("csv", "parquet")
SAMPLED_ROWS: Final = 1_000


class LogFormat(msgspec.Struct, frozen=True):
    """Format of a log, as given on the command line.

    Attributes:
        name: `jsonl`, `parquet`, `csv`, the name of a shipped mapping, or the path of a mapping.
        columns: field -> column; extends the mapping.
        kinds: value in the log -> kind; extends the mapping.
        kind: kind of all lines.
    """

    name: str
    columns: dict[str, str] = {}
    kinds: dict[str, str] = {}
    kind: str | None = None


def choose_mapping(form: LogFormat, sources: Sequence[Source]) -> Mapping | None:
    """Return the mapping for a format, or None for JSON lines, which need no mapping.

    `csv` and `parquet` without --columns use the columns that have the same names as fields of the wire schema.

    Raises:
        BadMapping: the options contradict each other or the mapping is invalid.
        UnusableLog: a required column is missing.
    """
    given = bool(form.columns or form.kinds or form.kind)
    if form.name == JSON_LINES:
        if given:
            raise BadMapping(
                file="jsonl",
                key="--columns, --kinds, --kind",
                problem="JSON lines do not use a mapping",
                remedy="Omit these options, or use --format csv for a table.",
            )
        return None
    if form.name not in TABLES:
        mapping = load_mapping(form.name)
        return mapping_from_options(form.columns, form.kinds, form.kind, mapping) if given else mapping
    first = first_with_content(sources)
    refuse_wrong_table(first, form.name)
    return _from_header(form, first)


def _from_header(form: LogFormat, source: Source) -> Mapping:
    with closing(open_table(source, FileLayout(), lambda names: range(len(names)))) as table:
        rows = [row for _, row in islice(table.rows(), SAMPLED_ROWS) if not isinstance(row, str)]
    columns = dict(form.columns) or wire_columns(table.header)
    for field in REQUIRED:
        Columns(source.name, table.header).places(field, columns.get(field, field))
    kinds = dict(form.kinds)
    if not form.kind and "type" not in columns:
        columns["type"] = _column_of_kinds(source.name, table.header, rows, kinds)
    if not form.kind and not kinds:
        kinds = {kind: kind for kind in SUBKINDS}
    return mapping_from_options(columns, kinds, form.kind)


def _column_of_kinds(file: str, header: Sequence[str], rows: Sequence[Sequence[str]], kinds: Dict[str, str]) -> str:
    """Return the column that contains the values given in --kinds."""
    found = f"the columns are: {', '.join(header)}"
    if not kinds:
        raise UnusableLog(
            file=file,
            problem=f"the kind of the lines is unknown; {found}",
            remedy="If every line is an order, add --kind order; otherwise add --columns type=COLUMN and --kinds"
            " WORD=KIND,…",
        )
    for place, name in enumerate(header):
        values = {row[place].strip() for row in rows}
        if values & kinds.keys() and len(values - kinds.keys()) <= len(values) / 2:
            return name
    likely = likely_column("type", ["type"], header) or "COLUMN"
    raise UnusableLog(
        file=file,
        problem=f"no column contains the values of --kinds ({', '.join(kinds)}); {found}",
        remedy=f"Name the column: --columns type={likely}.",
    )

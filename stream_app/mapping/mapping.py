"""Model of a mapping file, which defines how the columns of a foreign log are converted to events.

The shipped mappings are in `shipped/`; docs/extending.md describes how to add one. To use your own mapping, run
`stream-app replay LOG --format my.toml`; see docs/reference/mappings.md.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from stream_app.mapping.fields import Value

NAMED_DELIMITERS: Final = {"tab": "\t", "whitespace": "whitespace", "auto": "auto"}


class FileLayout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layout of a text file.

    Attributes:
        delimiter: one character, `tab`, `whitespace` (one or more blanks), or `auto` (the most common in the first
            line).
        encoding: encoding of the file.
        header: names of the columns, for files without a header line.
        decimal: decimal separator.
    """

    delimiter: str = "auto"
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."


class TimeLayout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Formats of times (see `times.time_reader`), and the time zone of times without an offset."""

    format: str | tuple[str, ...] = "auto"
    zone: str = "UTC"

    @property
    def formats(self) -> tuple[str, ...]:
        """Time formats in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format


class OrderGrouping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grouping of lines into orders.

    Attributes:
        group_by: columns that have equal values in all lines of an order; empty if every line is an order.
        cancellation_prefix: prefix of the value in the first of these columns that marks a cancellation.
    """

    group_by: str | tuple[str, ...] = ()
    cancellation_prefix: str = ""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns that have equal values in all lines of an order."""
        return (self.group_by,) if isinstance(self.group_by, str) else self.group_by


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Defines how the columns of a foreign log are converted to events.

    Attributes:
        description: free text.
        columns: field -> column. `a|b` gives alternative names of a column, `a * b` the product of two columns.
            `order.amount` maps a field for one kind only. The column of `type` holds the kind.
        kind: kind of all lines; use `kinds` if there are several.
        kinds: value of the column of `type` -> kind such as `order` or `cart.favourite`, or `skip`.
        constants: field -> value to set in every event.
        file: layout of the file.
        time: format of times.
        orders: grouping of lines into orders.
        missing_customer: whether lines without a customer are rejected or skipped.
        repeats: whether identical lines are separate events (`keep`) or duplicates (`drop`).
    """

    description: str = ""
    columns: dict[str, str] = {}
    kind: str = ""
    kinds: dict[str, str] = {}
    constants: dict[str, Value] = {}
    file: FileLayout = FileLayout()
    time: TimeLayout = TimeLayout()
    orders: OrderGrouping = OrderGrouping()
    missing_customer: Literal["reject", "skip"] = "reject"
    repeats: Literal["keep", "drop"] = "keep"


def delimiter_of(layout: FileLayout) -> str:
    """Return the delimiter with names resolved: one character, `whitespace` or `auto`."""
    return NAMED_DELIMITERS.get(layout.delimiter, layout.delimiter)

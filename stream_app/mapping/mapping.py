"""A mapping: how a foreign log's columns become events, as it stands in a small TOML file."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from stream_app.mapping.fields import Value

NAMED_DELIMITERS: Final = {"tab": "\t", "whitespace": "whitespace", "auto": "auto"}


class FileLayout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the text is written.

    delimiter: one character, `tab`, `whitespace` (any number of blanks) or `auto` (the commonest in the first line).
    header: the names of the columns where the file has no line of them. decimal: the sign before the fraction.
    """

    delimiter: str = "auto"
    encoding: str = "utf-8"
    header: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."


class TimeLayout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How times are written: formats (see `times.time_reader`), and the zone of those that carry no offset."""

    format: str | tuple[str, ...] = "auto"
    zone: str = "UTC"

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats in the order in which they are tried."""
        return (self.format,) if isinstance(self.format, str) else self.format


class OrderGrouping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How lines become orders.

    group_by: columns that lines of one order share; none: every line is an order of its own.
    cancellation_prefix: with what the first of them begins where the line takes an order back.
    """

    group_by: str | tuple[str, ...] = ()
    cancellation_prefix: str = ""

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that lines of one order share."""
        return (self.group_by,) if isinstance(self.group_by, str) else self.group_by


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a foreign log's columns become events.

    columns: wire field -> column. `a|b` are other spellings of one column, `a * b` the product of two. `order.amount`
    maps a field for one kind only. The column of the field `type` holds the kind, in the log's own words.
    kind: what every line is; or kinds: the log's word -> `order`, `cart.favourite`, ... or `skip`.
    constants: wire field -> a value for every event. missing_customer: whether lines without one are rejected or passed
    over. repeats: exact repeats of a line are events of their own (`keep`), or one event that was sent twice (`drop`).
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
    """The delimiter with its name resolved: one character, `whitespace` or `auto`."""
    return NAMED_DELIMITERS.get(layout.delimiter, layout.delimiter)

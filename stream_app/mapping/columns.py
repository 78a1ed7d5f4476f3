"""Lookup of a mapping's columns in the header of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream_app.errors import NoSuchColumn
from stream_app.mapping.fields import factors, field_names, nearest
from stream_app.mapping.mapping import Mapping

OPTIONAL: Final = "?"
# Common names of the columns that every log needs, for suggestions in error messages.
_OFTEN: Final = {
    "customer_id": ("customer_id", "customerid", "cust", "user_id", "userid", "buyer_id", "member_id", "visitorid"),
    "occurred_at": ("occurred_at", "date", "time", "timestamp", "datetime", "created_at", "event_time", "order_date"),
    "type": ("type", "event", "event_type", "behavior", "kind"),
    "amount": ("amount", "price", "total", "revenue", "payment", "value"),
}


class Columns:
    """The columns of one file.

    >>> columns = Columns("a.csv", ["Invoice", "Price "])
    >>> columns.places("amount", "Quantity?"), columns.place("amount", "UnitPrice|Price")
    ((), 1)
    """

    def __init__(self, file: str, header: Sequence[str]) -> None:
        self.file = file
        self.names = [name.strip() for name in header]

    def places(self, field: str, column: str) -> tuple[int, ...]:
        """Return the index of a column, or the indices of the factors of a product; () for a missing optional column.

        Raises:
            NoSuchColumn: the column is missing. The error lists the columns and suggests one.
        """
        if column in self.names:
            return (self.names.index(column),)
        optional, spellings = column.endswith(OPTIONAL), column.removesuffix(OPTIONAL)
        found = [self._find(factor.split("|")) for factor in factors(spellings)]
        if None not in found:
            return tuple(place for place in found if place is not None)
        if optional:
            return ()
        raise self._absent(field, factors(spellings)[found.index(None)])

    def place(self, field: str, column: str) -> int:
        """Return the index of a column."""
        return self.places(field, column)[0]

    def _find(self, spellings: Sequence[str]) -> int | None:
        return next((self.names.index(name.strip()) for name in spellings if name.strip() in self.names), None)

    def _absent(self, field: str, missing: str) -> NoSuchColumn:
        guess = likely_column(field, missing.split("|"), self.names)
        remedy = f"Did you mean `{guess}`? Then use --columns {field}={guess}." if guess else "Use one of these."
        if any("\udc80" <= char <= "\udcff" for char in "".join(self.names)):  # bytes that are not UTF-8
            remedy = 'The file is not UTF-8: set encoding = "gb18030" under [file] (docs/reference/mappings.md).'
        there = ", ".join(f"`{name.encode(errors='replace').decode()}`" for name in self.names)
        return NoSuchColumn(file=self.file, column=missing, field=field, columns=there, remedy=remedy)


def likely_column(field: str, spellings: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the most likely column for a field, based on similar or common names, or None.

    >>> likely_column("customer_id", ["custmer"], ["date", "customer"])
    'customer'
    >>> likely_column("occurred_at", ["x"], ["date", "n"])
    'date'
    """
    for word in (*spellings, field, *_OFTEN.get(field, ())):
        if match := nearest(word, names):
            return match
    return None


def wire_columns(names: Sequence[str]) -> dict[str, str]:
    """Return the columns that have the same name as a field of the wire schema, each mapped to itself."""
    known = set(field_names())
    return {name: name for name in names if name in known}


def mapped_columns(mapping: Mapping, columns: Columns) -> list[int]:
    """Return the indices of all columns that a mapping reads, in file order."""
    kind = [("type", mapping.columns.get("type", "type"))] if mapping.kinds else []
    wanted = [*kind, *mapping.columns.items(), *((f"order {key}", key) for key in mapping.orders.key_columns)]
    return sorted({place for field, column in wanted for place in columns.places(field, column)})

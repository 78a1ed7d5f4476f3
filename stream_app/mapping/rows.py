"""Converts rows of a foreign table to events."""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from stream_app.core.events.bounds import Bounds
from stream_app.core.events.schema import KINDS, NO_CUSTOMER, Event, Rejected, rejection
from stream_app.mapping.columns import Columns
from stream_app.mapping.fields import Value, is_number, kinds_with, parse_kind
from stream_app.mapping.mapping import Mapping
from stream_app.mapping.times import time_reader

Row = Sequence[str]
ReadNumber = Callable[[Row], "float | None"]
T = TypeVar("T")
NULLS: Final = frozenset({"", "NULL", "null", "\\N"})
# Values that table programs write for a missing customer.
NO_CUSTOMERS: Final = NULLS | {"nan", "NaN", "None", "<NA>"}
_BAD_TIME: Final = (
    "`{text}` is not a time in the mapping's format ({formats}): auto reads ISO 8601, dates that start with the year,"
    " and seconds since 1970; for other times, use a mapping with `format` under [time], such as"
    ' "%d/%m/%Y %H:%M" (docs/reference/mappings.md)'
)
_BAD_NUMBER: Final = "`{text}` is not a finite number: check the column and the decimal separator (`decimal`)"
_BAD_BYTES: Final = (
    "contains bytes that are not {encoding}: set `encoding` under [file]; Chinese logs often need gb18030"
)
_BAD_KIND: Final = "`{text}` is not among the kinds of the mapping: add it under [kinds], or as `skip` to ignore it"


class Unfit(Exception):  # control flow: carries a row's rejection
    """Raised to reject a row."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected


class _Plan(msgspec.Struct, frozen=True):
    """How to read rows of one kind."""

    struct: type[Event]
    start: dict[str, Value]
    texts: tuple[tuple[str, int], ...]
    numbers: tuple[tuple[str, ReadNumber], ...]
    key_field: str  # field that receives the order key; empty if lines of this kind are not grouped
    word: str  # prefix of the group's id, since paying and refunding an order are two events


class RowReader:
    """Converts the rows of one file.

    If the mapping has `group_by`, an event whose id equals its `row_id` is complete; any other is a line of an order.
    """

    def __init__(self, mapping: Mapping, columns: Columns, bounds: Bounds) -> None:
        self._mapping, self._columns, self._bounds = mapping, columns, bounds
        self._customer_at = columns.place("customer_id", mapping.columns["customer_id"])
        self._time_at = columns.place("occurred_at", mapping.columns["occurred_at"])
        self._read_time = time_reader(mapping.time.formats, ZoneInfo(mapping.time.zone))
        self._key_at = [columns.place("group_by", column) for column in mapping.orders.key_columns]
        self._prefix = mapping.orders.cancellation_prefix
        self._cancellation = self._plan("complaint", {"form": "cancellation"}, "complaint_id")
        self._plan_of = self._plan_chooser()

    def read(self, row: Row, row_id: str) -> Event | Rejected | None:
        """Convert a row to an event. Return Rejected with the reason if it is invalid, or None if the mapping skips it.

        `row_id` is used as the event's id if neither a column nor the order key provides one.
        """
        try:
            return self._read(row, row_id)
        except Unfit as unfit:
            return unfit.rejected
        except msgspec.ValidationError as error:
            return rejection(error)

    def _read(self, row: Row, row_id: str) -> Event | None:
        # 1. Customer: lines without one are skipped or rejected before anything else is read.
        customer = customer_name(row[self._customer_at])
        if customer in NO_CUSTOMERS:
            if self._mapping.missing_customer == "skip":
                return None
            raise Unfit(NO_CUSTOMER)
        self._decodable(customer, "customer_id")
        # 2. Kind, and the order to which the line belongs.
        plan = self._plan_of(row)
        if plan is None:
            return None
        fields: dict[str, object] = {"event_id": row_id, "customer_id": customer, **plan.start}
        if plan.key_field:
            plan = self._join_order(plan, row, fields)
        # 3. Time and all other fields.
        fields["occurred_at"] = self._time(row[self._time_at].strip())
        self._put_fields(fields, plan, row)
        if self._mapping.repeats == "drop":
            fields["event_id"] = _fingerprint(row)
        return msgspec.convert(fields, plan.struct, strict=False)

    def _put_fields(self, fields: dict[str, object], plan: _Plan, row: Row) -> None:
        for name, place in plan.texts:
            text = row[place].strip()
            if text not in NULLS:
                fields[name] = self._decodable(text, name)
        for name, read_number in plan.numbers:
            try:
                fields[name] = read_number(row)
            except ValueError as error:
                raise Unfit(Rejected(_BAD_NUMBER.format(text=error), name)) from None

    def _join_order(self, plan: _Plan, row: Row, fields: dict[str, object]) -> _Plan:
        """Set the order id of a line. Return the plan to use: the cancellation's if the key has the prefix."""
        key = "/".join([row[place].strip() for place in self._key_at])
        if not key.strip("/"):
            return plan
        self._decodable(key, plan.key_field)
        if self._prefix and key.startswith(self._prefix):
            for name in plan.start:
                del fields[name]
            plan = self._cancellation
            fields.update(plan.start)
        fields["event_id"] = f"{plan.word}-{key}"
        fields[plan.key_field] = key
        return plan

    def _decodable(self, text: str, field: str) -> str:
        """Return the text unchanged. Raise Unfit if it has undecodable bytes, which appear as lone surrogates."""
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit(Rejected(_BAD_BYTES.format(encoding=self._mapping.file.encoding), field)) from None
        return text

    def _time(self, text: str) -> datetime:
        try:
            at = self._read_time(text)
        except ValueError:
            raise Unfit(
                Rejected(_BAD_TIME.format(text=text, formats=", ".join(self._mapping.time.formats)), "occurred_at")
            ) from None
        if not self._bounds.earliest <= at <= self._bounds.latest:
            raise Unfit(self._bounds.out_of_bounds(at))
        return at

    def _plan_chooser(self) -> Callable[[Row], _Plan | None]:
        mapping = self._mapping
        if mapping.kind:
            only = self._plan_named(mapping.kind)
            return lambda _row: only
        plans = {word: self._plan_named(kind) for word, kind in mapping.kinds.items()}
        kind_at = self._columns.place("type", mapping.columns.get("type", "type"))

        def choose(row: Row) -> _Plan | None:
            word = row[kind_at].strip()
            try:
                return plans[word]
            except KeyError:
                raise Unfit(Rejected(_BAD_KIND.format(text=word), "type")) from None

        return choose

    def _plan_named(self, text: str) -> _Plan | None:
        parsed = parse_kind(text)  # None for `skip`
        if parsed is None:
            return None
        kind, sets = parsed
        grouped = kind == "order" and bool(self._mapping.orders.group_by)
        return self._plan(kind, sets, "order_id" if grouped else "")

    def _plan(self, kind: str, sets: dict[str, Value], key_field: str) -> _Plan:
        start = {**_for_kind(self._mapping.constants, kind), **sets}
        named = _for_kind(self._mapping.columns, kind)
        placed = {
            field: places
            for field, column in named.items()
            if field not in {"customer_id", "occurred_at", *start} and (places := self._columns.places(field, column))
        }
        decimal = _decimal_comma if self._mapping.file.decimal == "," else float
        numbers = tuple((field, number_reader(places, decimal)) for field, places in placed.items() if is_number(field))
        texts = tuple((field, places[0]) for field, places in placed.items() if not is_number(field))
        return _Plan(KINDS[kind], start, texts, numbers, key_field, str(next(iter(sets.values()), kind)))


def _for_kind(table: dict[str, T], kind: str) -> dict[str, T]:
    """Return the entries that apply to a kind; `order.amount` overrides `amount`."""
    keys = sorted((key for key in table if kind in kinds_with(key)), key=operator.methodcaller("count", "."))
    return {key.rpartition(".")[2]: table[key] for key in keys}


def number_reader(places: Sequence[int], decimal: Callable[[str], float]) -> ReadNumber:
    """Return a function that multiplies the values of the given columns of a row.

    It returns None if a value is missing, and raises ValueError with the texts if the product is not finite.

    >>> read = number_reader([0, 1], float)
    >>> read(["2", "1.5"]), read(["", "1.5"])
    (3.0, None)
    """

    def read(row: Row) -> float | None:
        product = 1.0
        try:
            for place in places:
                product *= decimal(row[place])
        except ValueError:
            product = math.nan
        if not math.isfinite(product):
            texts = [row[place].strip() for place in places]
            if NULLS.isdisjoint(texts):
                raise ValueError(" * ".join(texts))
            return None
        return product

    return read


def customer_name(text: str) -> str:
    """Return a customer id without surrounding blanks, and without the `.0` of a float column.

    >>> customer_name(" 00042 "), customer_name("13085.0"), customer_name("v1.0")
    ('00042', '13085', 'v1.0')
    """
    name = text.strip()
    return name[:-2] if name[-2:] == ".0" and name[:-2].isdecimal() else name


def _decimal_comma(text: str) -> float:
    return float(text.replace(".", "").replace(",", "."))


def _fingerprint(row: Row) -> str:
    """Return an id derived from the row's content; only equal rows share an id."""
    return hashlib.blake2b("\x1f".join(row).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()

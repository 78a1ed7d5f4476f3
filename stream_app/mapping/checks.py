"""Validation of mappings before any data is read."""

from __future__ import annotations

import codecs
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from stream_app.errors import BadMapping
from stream_app.mapping.fields import (
    FIELDS,
    SKIP,
    SUBKINDS,
    Value,
    did_you_mean,
    factors,
    field_names,
    is_number,
    kind_names,
    kinds_with,
    parse_kind,
)
from stream_app.mapping.mapping import NAMED_DELIMITERS, Mapping
from stream_app.mapping.times import NAMED_FORMATS

REQUIRED: Final = ("customer_id", "occurred_at")
# Fields that refer to single lines and have no meaning once lines are grouped into orders.
_OF_LINES: Final = frozenset({"event_id", "action", "order.action"})


def check_mapping(mapping: Mapping, name: str) -> None:
    """Raise BadMapping if a mapping is invalid; `name` is the name of its file."""
    _check_fields(mapping, name)
    _check_products(mapping, name)
    _check_kinds(mapping, name)
    _check_orders(mapping, name)
    _check_file(mapping, name)
    _check_time(mapping, name)


def _check_fields(mapping: Mapping, name: str) -> None:
    for field in REQUIRED:
        if field not in mapping.columns:
            raise BadMapping(
                file=name,
                key="columns",
                problem=f"the field `{field}` is missing",
                remedy=f"Add its column: {field} = COLUMN.",
            )
    for table, keys in (("columns", mapping.columns.keys() - {"type"}), ("constants", mapping.constants.keys())):
        for key in sorted(keys):
            if not kinds_with(key):
                raise BadMapping(
                    file=name,
                    key=f"{table}.{key}",
                    problem="no event has this field",
                    remedy=f"{did_you_mean(key, field_names())}The fields are listed by `stream-app schema`.",
                )
    for key, value in mapping.constants.items():
        _check_constant(key, value, name)


def _check_constant(key: str, value: Value, name: str) -> None:
    kind, field = kinds_with(key)[0], key.rpartition(".")[2]
    try:
        msgspec.convert(value, FIELDS[kind][field], strict=False)
    except msgspec.ValidationError as error:
        raise BadMapping(
            file=name,
            key=f"constants.{key}",
            problem=error,
            remedy="Use a value that is valid for this field in an event.",
        ) from error


def _check_products(mapping: Mapping, name: str) -> None:
    for key, column in mapping.columns.items():
        if len(factors(column)) > 1 and not is_number(key):
            raise BadMapping(
                file=name,
                key=f"columns.{key}",
                problem=f"`{column}` is a product of columns",
                remedy="Only numbers can be multiplied.",
            )


def _check_kinds(mapping: Mapping, name: str) -> None:
    if bool(mapping.kind) == bool(mapping.kinds):
        raise BadMapping(
            file=name,
            key="kind, kinds",
            problem="both are given" if mapping.kind else "neither is given",
            remedy="Give `kind` if all lines are of one kind, otherwise `kinds` and the column of the field `type`.",
        )
    named = {"kind": mapping.kind} if mapping.kind else {f"kinds.{k}": text for k, text in mapping.kinds.items()}
    for key, text in named.items():
        if text != SKIP and parse_kind(text) is None:
            raise BadMapping(
                file=name,
                key=key,
                problem=f"`{text}` is not a kind",
                remedy=f"{did_you_mean(text, kind_names())}Kinds are {', '.join(SUBKINDS)} and {SKIP}.",
            )


def _check_orders(mapping: Mapping, name: str) -> None:
    if not mapping.orders.group_by:
        if mapping.orders.cancellation_prefix:
            raise BadMapping(
                file=name,
                key="orders.cancellation_prefix",
                problem="group_by is missing",
                remedy="Add group_by: the prefix applies to its first column.",
            )
        return
    of_lines = sorted(_OF_LINES & mapping.columns.keys()) or ["repeats"] * (mapping.repeats == "drop")
    if of_lines:
        raise BadMapping(
            file=name,
            key="orders.group_by",
            problem=f"{of_lines[0]} refers to single lines, but lines are grouped into orders",
            remedy="Remove one of them.",
        )


def _check_file(mapping: Mapping, name: str) -> None:
    try:
        codecs.lookup(mapping.file.encoding)
    except LookupError as error:
        raise BadMapping(
            file=name, key="file.encoding", problem=error, remedy="Use utf-8, gb18030 or another codec of Python."
        ) from error
    if len(mapping.file.delimiter) != 1 and mapping.file.delimiter not in NAMED_DELIMITERS:
        raise BadMapping(
            file=name,
            key="file.delimiter",
            problem=f"`{mapping.file.delimiter}` is invalid",
            remedy=f"Use one character, or {', '.join(NAMED_DELIMITERS)}.",
        )


def _check_time(mapping: Mapping, name: str) -> None:
    for text in mapping.time.formats:
        if text not in NAMED_FORMATS and "%" not in text:
            raise BadMapping(
                file=name,
                key="time.format",
                problem=f"`{text}` is not a format",
                remedy=f"{did_you_mean(text, NAMED_FORMATS)}You can also use a layout such as %d.%m.%Y %H:%M.",
            )
    try:
        ZoneInfo(mapping.time.zone)
    except (OSError, ValueError, LookupError) as error:
        raise BadMapping(
            file=name,
            key="time.zone",
            problem=f"the time zone `{mapping.time.zone}` is unknown",
            remedy="Use a name such as Asia/Shanghai.",
        ) from error

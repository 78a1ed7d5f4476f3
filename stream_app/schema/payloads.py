"""The four kinds of events as JSON Schema: what `core.events.decode` accepts, field by field.

The structure comes from the types; what they cannot say (meaning, unit) comes from `words.py`.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from stream_app.core.events.schema import KINDS, Event
from stream_app.schema.examples import examples
from stream_app.schema.words import describe

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
_ABOUT: Final = (
    "One event of a shop's log. Unknown fields are ignored and unknown words of an enumeration count as `other`; an "
    "event whose required field is missing or wrong, or whose optional field has the wrong type or a value out of "
    "range, is rejected with the field's name."
)


def json_schema() -> Schema:
    """The wire schema in JSON Schema, draft 2020-12: a line of a log is valid if it is one of the four kinds.

    >>> schema = json_schema()
    >>> [one["$ref"] for one in schema["oneOf"]]
    ['#/$defs/Browsing', '#/$defs/Cart', '#/$defs/Order', '#/$defs/Complaint']
    >>> schema["$defs"]["Cart"]["required"]
    ['type', 'event_id', 'customer_id', 'occurred_at']
    """
    return {
        "$schema": DIALECT,
        "$id": "urn:stream-app:events",
        "title": "Event",
        "description": _ABOUT,
        "oneOf": [{"$ref": f"#/$defs/{struct.__name__}"} for struct in KINDS.values()],
        "$defs": payloads(),
    }


def payloads() -> dict[str, Schema]:
    """The schema of each kind by the name of its type. None refers to another, so they may stand in any document."""
    return {struct.__name__: _payload(kind, struct) for kind, struct in KINDS.items()}


def _payload(kind: str, struct: type[Event]) -> Schema:
    _, components = msgspec.json.schema_components([struct])
    schema = components[struct.__name__]
    fields = schema["properties"]
    fields["type"]["description"] = "The kind of event."
    for name in ("event_id", "customer_id", "shop_id"):
        fields[name]["pattern"] = r"\S"  # not blank
    for field in msgspec.structs.fields(struct):
        if isinstance(field.type, enum.EnumType):
            fields[field.name] = open_enum(field)
        else:
            _require_offset(fields[field.name])
        fields[field.name]["description"] = describe(kind, field.name)
    return {**schema, "additionalProperties": True, "examples": examples(kind)}


def open_enum(field: msgspec.structs.FieldInfo) -> Schema:
    """An enumeration that no foreign value makes invalid: its words are told, any other word is allowed."""
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    known = {"description": "The words that are understood.", "enum": [member.value for member in field.type]}
    foreign = {
        "description": "Other spellings are understood; any other word counts as `other`.",
        "type": "string",
    }
    return {"anyOf": [known, foreign], "default": default.value}


def _require_offset(schema: Schema) -> None:
    """Most validators check a `format` only when told to; a pattern they all check, and a time needs its offset."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("format") == "date-time":
            part["pattern"] = INSTANT

"""JSON Schema of the five kinds of events. It accepts what `core.events.schema.decode` accepts.

The structure comes from the event types; the meanings and units of the fields come from `words.py`.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from stream_app.core.events.enumerations import ContactAction
from stream_app.core.events.schema import KINDS, Event
from stream_app.core.messages.schema import AlertAction
from stream_app.schema.examples import examples
from stream_app.schema.words import describe

Schema = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
_ABOUT: Final = (
    "One event of a shop's log. Unknown fields are ignored, and unknown values of an enumeration count as `other`. An "
    "event is rejected, with the name of the field, if a required field is missing or invalid, or if an optional field "
    "has a wrong type or a value out of range."
)


def json_schema() -> Schema:
    """Return the event schema as JSON Schema, draft 2020-12. An event is one of the five kinds.

    >>> schema = json_schema()
    >>> [one["$ref"] for one in schema["oneOf"]]
    ['#/$defs/Browsing', '#/$defs/Cart', '#/$defs/Order', '#/$defs/Complaint', '#/$defs/Contact']
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
    """Return the schema of each kind by type name. The schemas do not refer to each other."""
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
    """Return the schema of an enumeration, which lists the known values but allows any other text."""
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    known = {"description": "Known values.", "enum": [member.value for member in field.type]}
    foreign: Schema = {
        "description": "Other spellings are recognized; any other value counts as `other`.",
        "type": "string",
    }
    if field.type is ContactAction:
        foreign["not"] = {"description": "Written by the system only.", "enum": list(AlertAction)[:-1]}
    return {"anyOf": [known, foreign], "default": default.value}


def _require_offset(schema: Schema) -> None:
    """Add a pattern that requires an offset in times, since validators check `format` only on request."""
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("format") == "date-time":
            part["pattern"] = INSTANT

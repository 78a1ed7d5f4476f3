"""JSON Schema of what the services send: alerts on Kafka, and the bodies of webhooks.

The structure and the meanings come from the message types in `core.messages.alerts`.
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

import msgspec

from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertOpened, WebhookBody

Schema = dict[str, Any]
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def alerts_schema() -> Schema:
    """Return the schema of the records on the alerts topic.

    >>> sorted(alerts_schema()["$defs"])
    ['AlertClosed', 'AlertHeldOut', 'AlertOpened', 'Cause', 'ContactRules', 'Evidence', 'Explanation']
    """
    types: list[type[msgspec.Struct]] = [AlertOpened, AlertHeldOut, AlertClosed]
    return {
        "$schema": _DIALECT,
        "$id": "urn:stream-app:alerts",
        "title": "Alert",
        "description": "An alert was opened, held out or closed. Later releases may add fields.",
        "oneOf": [{"$ref": f"#/$defs/{one.__name__}"} for one in types],
        "$defs": components(types, "#/$defs/{name}"),
    }


def webhook_schema() -> Schema:
    """Return the schema of a webhook's body.

    >>> webhook_schema()["$ref"]
    '#/$defs/WebhookBody'
    """
    return {
        "$schema": _DIALECT,
        "$id": "urn:stream-app:webhook",
        "title": "Webhook",
        "$ref": "#/$defs/WebhookBody",
        "$defs": components([WebhookBody], "#/$defs/{name}"),
    }


def components(types: list[type[msgspec.Struct]], ref: str) -> dict[str, Schema]:
    """Return the schemas of some types and of all types in them by name; `ref` is the template of references."""
    _, found = msgspec.json.schema_components(types, ref_template=ref)
    return {name: _described(schema) for name, schema in msgspec.json.decode(msgspec.json.encode(found)).items()}


def _described(schema: Schema) -> Schema:
    """Return a schema whose fields are described by the attributes in the docstring of its type."""
    about, _, attributes = inspect.cleandoc(schema["description"]).partition("\n\nAttributes:\n")
    texts = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    fields = {
        name: {**field, "description": texts[name][:1].upper() + texts[name][1:]} if name in texts else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "description": about.partition("\n\n")[0], "properties": fields}

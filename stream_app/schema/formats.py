"""Renders the event schema documents as text."""

from __future__ import annotations

import json
from typing import Final

from stream_app.errors import BadOption
from stream_app.schema.channels import asyncapi
from stream_app.schema.outputs import alerts_schema, webhook_schema
from stream_app.schema.payloads import json_schema

SCHEMAS: Final = {"events": json_schema, "alerts": alerts_schema, "webhook": webhook_schema}
FORMATS: Final = {"json-schema": json_schema, "asyncapi": asyncapi}


def render(format: str, of: str = "events") -> str:  # noqa: A002 - named after the command-line option
    r"""Render a schema document as JSON text.

    Args:
        format: `json-schema` (draft 2020-12) or `asyncapi` (3.0.0).
        of: what the JSON Schema describes, one of SCHEMAS. The AsyncAPI document describes all public topics.

    Raises:
        BadOption: the format or what it describes is unknown.

    >>> json.loads(render("asyncapi"))["asyncapi"], render("json-schema").endswith("}\n")
    ('3.0.0', True)
    """
    if format not in FORMATS:
        raise BadOption(option="--format", value=format, remedy=f"Use {' or '.join(FORMATS)}.")
    if of not in SCHEMAS:
        raise BadOption(option="OF", value=of, remedy=f"Use {', '.join(SCHEMAS)}.")
    document = SCHEMAS[of]() if format == "json-schema" else FORMATS[format]()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

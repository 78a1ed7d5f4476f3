"""Renders the event schema documents as text."""

from __future__ import annotations

import json
from typing import Final

from stream_app.errors import BadOption
from stream_app.schema.channels import asyncapi
from stream_app.schema.payloads import json_schema

FORMATS: Final = {"json-schema": json_schema, "asyncapi": asyncapi}


def render(format: str) -> str:  # noqa: A002 - named after the command-line option
    r"""Render a schema document as JSON text.

    Args:
        format: `json-schema` (draft 2020-12) or `asyncapi` (3.0.0).

    Raises:
        BadOption: the format is unknown.

    >>> json.loads(render("asyncapi"))["asyncapi"], render("json-schema").endswith("}\n")
    ('3.0.0', True)
    """
    if format not in FORMATS:
        raise BadOption(option="--format", value=format, remedy=f"Use {' or '.join(FORMATS)}.")
    return json.dumps(FORMATS[format](), indent=2, ensure_ascii=False) + "\n"

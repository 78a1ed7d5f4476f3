"""Event schema as JSON Schema and AsyncAPI documents, generated from the event types."""

from __future__ import annotations

from stream_app.schema.channels import asyncapi
from stream_app.schema.formats import FORMATS, render
from stream_app.schema.payloads import json_schema

__all__ = ["FORMATS", "asyncapi", "json_schema", "render"]

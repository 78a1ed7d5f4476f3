"""Event schema as machine-readable documents, JSON Schema and AsyncAPI, generated from the event types."""

from __future__ import annotations

from stream_app.schema.channels import asyncapi
from stream_app.schema.formats import FORMATS, render
from stream_app.schema.payloads import json_schema

__all__ = ["FORMATS", "asyncapi", "json_schema", "render"]

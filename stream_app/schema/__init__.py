"""Schemas of events, alerts and webhooks as JSON Schema and AsyncAPI documents, generated from the types."""

from __future__ import annotations

from stream_app.schema.channels import asyncapi
from stream_app.schema.formats import FORMATS, SCHEMAS, render
from stream_app.schema.payloads import json_schema

__all__ = ["FORMATS", "SCHEMAS", "asyncapi", "json_schema", "render"]

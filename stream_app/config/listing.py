"""List of all settings, for docs/reference/settings.md and for error messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from stream_app.config.fields import FOREVER, ListedOrTables, Place, Retention, ShopSpan, Span, Tables, is_section
from stream_app.config.live import LiveConfig
from stream_app.config.sources import variable
from stream_app.core.durations import format_duration


@dataclass(frozen=True)
class Row:
    """A setting in the list."""

    place: Place
    kind: str
    default: str
    meaning: str
    zh: str

    @property
    def name(self) -> str:
        """Name of the setting in TOML files."""
        return ".".join(self.place)

    @property
    def variable(self) -> str:
        """Name of the environment variable that sets it."""
        return variable(self.place)


def rows(model: type[BaseModel] = LiveConfig, above: Place = ()) -> Iterator[Row]:
    """Yield every setting, section by section.

    >>> [row.name for row in rows()][:2]
    ['kafka.bootstrap', 'kafka.client_id']
    """
    for name, info in model.model_fields.items():
        place = (*above, name)
        if is_section(info):
            yield from rows(info.annotation, place)  # type: ignore[arg-type]  # is_section has checked that it is a model
        else:
            extra: Any = info.json_schema_extra
            kind = _kind(info)
            yield Row(place, kind, extra.get("default") or _default(info, kind), info.description or "", extra["zh"])


def _kind(info: FieldInfo) -> str:
    validators = [part for part in info.metadata if isinstance(part, BeforeValidator)]
    for kind, annotated in {"duration in days": ShopSpan, "duration": Span, "duration or `forever`": Retention}.items():
        if get_args(annotated)[1] in validators:
            return kind
    if Tables in validators:
        return "tables (JSON)"
    if ListedOrTables in validators:
        return "list, or tables (JSON)"
    return _plain_kind(info.annotation)


def _plain_kind(annotation: Any) -> str:
    choices = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) in {tuple, frozenset}:
        return "list"
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in choices)
    if choices:  # X | None
        return _plain_kind(choices[0])
    return {int: "number", float: "number", bool: "`true`, `false`", SecretStr: "secret", Path: "path"}.get(
        annotation, "text"
    )


def _default(info: FieldInfo, kind: str) -> str:
    value = info.default
    if value is None:
        return "—"
    if kind.startswith("duration"):
        return "forever" if value == FOREVER else format_duration(value)
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, tuple | frozenset):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)

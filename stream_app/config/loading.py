"""Gathers the settings from all sources, and tells what is wrong with them in the user's own words."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from stream_app.config.fields import ContradictionError, Place
from stream_app.config.listing import Row, rows
from stream_app.config.live import LiveConfig
from stream_app.config.sources import CONFIG_VARIABLE, Environment, File, Flags, Layer, variable
from stream_app.errors import BadConfig

_SILENT: Final = frozenset({"password", "url"})  # never shown, not even when they are wrong


def load_config(
    path: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LiveConfig:
    """The settings of the service, from (highest first) flags, environment, file and defaults.

    Args:
        path: a TOML file; by default the one that STREAM_APP_CONFIG names, if it does.
        flags: by dotted names, `{"kafka.bootstrap": "kafka:9092"}`; None: not given.
        environ: by default the environment of this process.

    Raises:
        BadConfig: names the setting as the user wrote it, what is wrong and what to do. Never shows a secret.

    >>> load_config(flags={"kafka.partitions": 8}, environ={"STREAM_APP_KAFKA__PARTITIONS": "2"}).kafka.partitions
    8
    >>> load_config(environ={"STREAM_APP_KAFKA__PARTITIONS": "0"})
    Traceback (most recent call last):
    stream_app.errors.BadConfig: The setting STREAM_APP_KAFKA__PARTITIONS (environment) cannot be used: ...
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    layers = (
        Flags.of(LiveConfig, flags or {}),
        Environment.of(LiveConfig, environ),
        File.of(LiveConfig, named),
    )
    try:
        return LiveConfig(_build_sources=(layers, {}))  # type: ignore[call-arg]  # mypy knows only the fields
    except ValidationError as error:
        # Without its cause: pydantic's error quotes what was given, a password perhaps.
        raise _told(error.errors(include_url=False), layers) from None


def _told(errors: Sequence[ErrorDetails], layers: Sequence[Layer]) -> BadConfig:
    """The first error in our words."""
    error = errors[0]
    place = tuple(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":  # of an unknown section pydantic names no setting
        place = next((given for layer in layers if (given := layer.under(place))), place)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionError):
        place += cause.place
        problem, remedy = cause.problem, cause.remedy
    else:
        problem, remedy = _problem(error, place), _remedy(error, place, layers)
    more = f" (Besides this one, wrong: {len(errors) - 1}.)" if len(errors) > 1 else ""
    return BadConfig(name=_name(place, layers), problem=problem, remedy=remedy + more)


def _name(place: Place, layers: Sequence[Layer]) -> str:
    for layer in layers:
        if given := layer.given(place):
            return layer.name(given)
    return f"{'.'.join(place)} ({variable(place)})"


def _problem(error: ErrorDetails, place: Place) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is unknown"
        case "model_type" | "model_attributes_type":
            return "is a section and no value"
        case "string_pattern_mismatch":
            return f"is {_shown(error['input'], place)}, which is not how it is written"
        case _:
            message = error["msg"][:1].lower() + error["msg"][1:]
            return f"has {_shown(error['input'], place)}: {message}"


def _remedy(error: ErrorDetails, place: Place, layers: Sequence[Layer]) -> str:
    known = {row.place: row for row in rows()}
    if error["type"] == "extra_forbidden":
        layer = next((one for one in layers if one.given(place)), None)
        return f"{_closest(place, known, layer)}All settings are in docs/settings.md."
    row = known.get(place) or known.get(place[:2])  # a part of a list
    return f"{row.meaning} Default: {row.default}." if row else "See docs/settings.md."


def _closest(place: Place, known: Mapping[Place, Row], layer: Layer | None) -> str:
    """The setting that was meant, written as it must be where this one was: in the environment as a variable."""
    names = {".".join(one): row for one, row in known.items()}
    close = difflib.get_close_matches(".".join(place), names, n=1, cutoff=0.6)
    if not close:
        return ""
    return f"Did you mean {names[close[0]].variable if isinstance(layer, Environment) else close[0]}? "


def _shown(value: Any, place: Place) -> str:
    return "a secret" if place[-1] in _SILENT or isinstance(value, SecretStr) else repr(value)

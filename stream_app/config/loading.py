"""Loads the settings from all sources. Errors name settings as the user wrote them."""

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
from stream_app.config.sources import CONFIG_VARIABLE, Source, from_environment, from_file, from_flags, merged, variable
from stream_app.errors import BadConfig

_SECRET_NAMES: Final = frozenset({"password", "url"})  # settings whose values are never shown in errors


def load_config(
    path: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LiveConfig:
    """Load the settings from, in order of precedence, flags, environment, file and defaults.

    Args:
        path: TOML file. Default: the one named by STREAM_APP_CONFIG, if set.
        flags: values by dotted name, such as `{"kafka.bootstrap": "kafka:9092"}`; None means not given.
        environ: environment variables. Default: the variables of this process.

    Raises:
        BadConfig: a setting is invalid. The message names it as the user wrote it and never contains a secret.

    >>> load_config(flags={"kafka.partitions": 8}, environ={"STREAM_APP_KAFKA__PARTITIONS": "2"}).kafka.partitions
    8
    >>> load_config(environ={"STREAM_APP_KAFKA__PARTITIONS": "0"})
    Traceback (most recent call last):
    stream_app.errors.BadConfig: Invalid setting STREAM_APP_KAFKA__PARTITIONS (environment): it has '0': ...
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    sources = (from_flags(flags or {}), from_environment(environ), from_file(named))
    for source in sources:
        source.refuse_secrets()
    try:
        return LiveConfig.model_validate(merged(sources))
    except ValidationError as error:
        # Suppress the cause: pydantic's error quotes the input, which may be a password.
        raise _first(error.errors(include_url=False), sources) from None


def _first(errors: Sequence[ErrorDetails], sources: Sequence[Source]) -> BadConfig:
    error = errors[0]
    place = tuple(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":  # pydantic does not report which setting an unknown section contains
        place = next((given for source in sources if (given := source.given_under(place))), place)
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionError):
        place += cause.place
        problem, remedy = cause.problem, cause.remedy
    else:
        problem, remedy = _problem(error, place), _remedy(error, place, sources)
    others = len(errors) - 1
    more = f" ({others} more invalid setting{'s' * (others > 1)}.)" if others else ""
    return BadConfig(name=_name(place, sources), problem=problem, remedy=remedy + more)


def _name(place: Place, sources: Sequence[Source]) -> str:
    for source in sources:
        if given := source.given_at(place):
            return source.name(given)
    return f"{'.'.join(place)} ({variable(place)})"


def _problem(error: ErrorDetails, place: Place) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is unknown"
        case "model_type" | "model_attributes_type":
            return "is a section, not a value"
        case "string_pattern_mismatch":
            return f"has {_shown(error['input'], place)}, which is not in the expected format"
        case _:
            message = error["msg"][:1].lower() + error["msg"][1:]
            return f"has {_shown(error['input'], place)}: {message}"


def _remedy(error: ErrorDetails, place: Place, sources: Sequence[Source]) -> str:
    known = {row.place: row for row in rows()}
    if error["type"] == "extra_forbidden":
        source = next((one for one in sources if one.given_at(place)), None)
        return f"{_closest(place, known, source)}All settings are in docs/reference/settings.md."
    row = known.get(place) or known.get(place[:2])  # the place is an element of a list
    return f"{row.meaning} Default: {row.default}." if row else "See docs/reference/settings.md."


def _closest(place: Place, known: Mapping[Place, Row], source: Source | None) -> str:
    names = {".".join(one): row for one, row in known.items()}
    close = difflib.get_close_matches(".".join(place), names, n=1, cutoff=0.6)
    if not close:
        return ""
    is_variable = source is not None and source.is_environment
    return f"Did you mean {names[close[0]].variable if is_variable else close[0]}? "


def _shown(value: Any, place: Place) -> str:
    return "a secret" if place[-1] in _SECRET_NAMES or isinstance(value, SecretStr) else repr(value)

"""Reader of the channel file. Its errors state the file, line, field and remedy, but never show a value."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stream_app.config.fields import ContradictionError, Place
from stream_app.config.secrets import is_reference, resolved
from stream_app.config.yaml_nodes import Lines, YamlProblemError, line_of, read_yaml, values_of
from stream_app.errors import BadChannels
from stream_app.notifications.channel_settings import MAX_CHANNELS, ChannelSettings, ChannelsFile, Digest, Retry

_SEE: Final = "See docs/reference/delivery.md."


@dataclass(frozen=True)
class Secrets:
    """The address and secrets of a channel, which are never shown."""

    url: str = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)  # newest first


@dataclass(frozen=True)
class Channels:
    """The channel file, and the secrets it refers to by channel."""

    file: ChannelsFile
    secrets: Mapping[str, Secrets]


def read_channels(path: Path | None, environ: Mapping[str, str] | None = None) -> Channels:
    """Read the channel file and the secrets it refers to. Without a file, return no channels.

    Args:
        path: path of the YAML file, or None.
        environ: environment for `env:NAME`; defaults to the environment of this process.

    Raises:
        BadChannels: the file is invalid, or a secret is missing.
    """
    environ = os.environ if environ is None else environ
    if path is None:
        return Channels(ChannelsFile.model_validate({}), {})
    try:
        values, lines = values_of(read_yaml(path))
    except YamlProblemError as error:
        raise BadChannels(
            file=path,
            line=error.line,
            field=error.field or "the file",
            problem=error.problem,
            remedy=error.remedy,
        ) from error
    try:
        file = ChannelsFile.model_validate(values)
    except ValidationError as error:
        # `from None`: pydantic's error quotes the values, which may be secrets.
        raise _translated(error.errors(include_url=False)[0], path, lines) from None
    return Channels(file, {name: _secrets(name, one, path, lines, environ) for name, one in file.channels.items()})


def _secrets(name: str, channel: ChannelSettings, path: Path, lines: Lines, environ: Mapping[str, str]) -> Secrets:
    def of(reference: str, *place: str) -> str:
        try:
            return resolved(reference, environ)
        except ContradictionError as error:
            raise _bad(("channels", name, *place), error.problem, error.remedy, path, lines) from error

    url = of(channel.url, "url") if is_reference(channel.url) else channel.url
    keys = [of(channel.secret, "secret")] if channel.secret is not None else []
    keys += [of(old, "old_secrets", str(number)) for number, old in enumerate(channel.old_secrets)]
    return Secrets(url, tuple(keys))


def _translated(error: ErrorDetails, path: Path, lines: Lines) -> BadChannels:
    """Convert a pydantic error to BadChannels."""
    place = tuple(str(part) for part in error["loc"] if part != "[key]")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ContradictionError):
        return _bad((*place, *cause.place), cause.problem, cause.remedy, path, lines)
    match error["type"]:
        case "extra_forbidden":
            return _bad(place, "is unknown", f"{_closest(place)}{_SEE}", path, lines)
        case "missing":
            return _bad(place, "is missing", _SEE, path, lines)
        case "string_pattern_mismatch":
            remedy = "A channel name starts with a letter and has at most 30 lower-case letters, digits and hyphens."
            return _bad(place, "is not a valid name", remedy, path, lines)
        case "too_long":
            return _bad(place, "has too many entries", f"The maximum is {MAX_CHANNELS} channels. {_SEE}", path, lines)
        case _:
            return _bad(place, error["msg"][:1].lower() + error["msg"][1:], _SEE, path, lines)


def _bad(place: Place, problem: str, remedy: str, path: Path, lines: Lines) -> BadChannels:
    field = ".".join(place) or "the file"
    return BadChannels(file=path, line=line_of(place, lines), field=field, problem=problem, remedy=remedy)


def _closest(place: Place) -> str:
    sections: dict[str, type[BaseModel]] = {"digest": Digest, "retry": Retry, "channels": ChannelSettings}
    model = sections.get(place[0], ChannelsFile) if len(place) > 1 else ChannelsFile
    close = difflib.get_close_matches(place[-1], model.model_fields, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}? " if close else ""

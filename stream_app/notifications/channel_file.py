"""Reader of the channel file. Its errors state the file, line, field and remedy, but never show a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stream_app.config.fields import ContradictionError
from stream_app.config.secrets import is_reference, resolved
from stream_app.config.yaml_nodes import Lines, YamlProblemError
from stream_app.errors import BadChannels
from stream_app.notifications.channel_settings import ChannelSettings, ChannelsFile, Digest, Retry
from stream_app.notifications.yaml_model import Sections, problem_at, read_model

_SECTIONS: Final[Sections] = {("digest", 2): Digest, ("retry", 2): Retry, ("channels", 3): ChannelSettings}
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
        file, lines = read_model(path, ChannelsFile, _SECTIONS, _SEE)
        secrets = {name: _secrets(name, channel, lines, environ) for name, channel in file.channels.items()}
    except YamlProblemError as error:
        field = error.field or "the file"
        raise BadChannels(
            file=path, line=error.line, field=field, problem=error.problem, remedy=error.remedy
        ) from error
    return Channels(file, secrets)


def _secrets(name: str, channel: ChannelSettings, lines: Lines, environ: Mapping[str, str]) -> Secrets:
    def of(reference: str, *place: str) -> str:
        try:
            return resolved(reference, environ)
        except ContradictionError as error:
            raise problem_at(("channels", name, *place), error.problem, error.remedy, lines) from error

    url = of(channel.url, "url") if is_reference(channel.url) else channel.url
    keys = [of(channel.secret, "secret")] if channel.secret is not None else []
    keys += [of(old, "old_secrets", str(number)) for number, old in enumerate(channel.old_secrets)]
    return Secrets(url, tuple(keys))

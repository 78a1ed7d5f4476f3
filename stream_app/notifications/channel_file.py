"""Reader of the channel file. Its errors state the file, line, field and remedy, but never show a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_app.config.fields import ContradictionError
from stream_app.config.secrets import is_reference, resolved
from stream_app.config.yaml_model import Sections, problem_at, read_model
from stream_app.config.yaml_nodes import Lines, YamlProblemError
from stream_app.core.units import SECOND_US
from stream_app.errors import BadChannels
from stream_app.notifications.channel_settings import ChannelSettings, ChannelsFile, Digest, Retry
from stream_app.notifications.channels.channel import Endpoint

_SECTIONS: Final[Sections] = {("digest", 2): Digest, ("retry", 2): Retry, ("channels", 3): ChannelSettings}
_SEE: Final = "See docs/reference/delivery.md."


@dataclass(frozen=True)
class Channels:
    """The channel file, and the endpoint of each channel, with the secrets that the file refers to."""

    file: ChannelsFile
    endpoints: Mapping[str, Endpoint]


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
        endpoints = {name: _endpoint(name, channel, lines, environ) for name, channel in file.channels.items()}
    except YamlProblemError as error:
        raise BadChannels(
            file=path, line=error.line, field=error.field or "the file", problem=error.problem, remedy=error.remedy
        ) from error
    return Channels(file, endpoints)


def _endpoint(name: str, channel: ChannelSettings, lines: Lines, environ: Mapping[str, str]) -> Endpoint:
    def of(reference: str, *place: str) -> str:
        try:
            return resolved(reference, environ)
        except ContradictionError as error:
            raise problem_at(("channels", name, *place), error.problem, error.remedy, lines) from error

    url = of(channel.url, "url") if is_reference(channel.url) else channel.url
    keys = [of(channel.secret, "secret")] if channel.secret is not None else []
    keys += [of(old, "old_secrets", str(number)) for number, old in enumerate(channel.old_secrets)]
    return Endpoint(url, tuple(keys), channel.timeout / SECOND_US, channel.allow_private)

"""Factory that creates channels from the entries of the channel file."""

from __future__ import annotations

from stream_app.core.units import SECOND_US
from stream_app.errors import BadChannels
from stream_app.notifications.channel_file import Channels
from stream_app.notifications.channels.channel import Channel, Endpoint
from stream_app.notifications.channels.registry import KINDS


def make_channel(name: str, channels: Channels) -> Channel:
    """Create the channel with the given name. Raise BadChannels if its secret is invalid."""
    settings, secrets = channels.file.channels[name], channels.secrets[name]
    endpoint = Endpoint(secrets.url, secrets.keys, settings.timeout / SECOND_US, settings.allow_private)
    try:
        return KINDS[settings.kind].make(endpoint)
    except ValueError as error:
        raise BadChannels(
            file="the channel file",
            line=1,
            field=f"channels.{name}.secret or one of its old_secrets",
            problem=str(error),
            remedy="Use whsec_ followed by 24 to 64 bytes in base64; `stream-app secret` creates one.",
        ) from None


def make_channels(channels: Channels) -> dict[str, Channel]:
    """Create all channels and return them by name."""
    return {name: make_channel(name, channels) for name in channels.file.channels}

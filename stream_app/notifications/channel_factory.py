"""Creates channels, routes and the delivery policy from the channel file."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from stream_app.core.delivery.quiet_hours import QuietHours
from stream_app.core.delivery.retry import Limit, Retries
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.policy.contact_hours import minutes_of
from stream_app.core.units import MINUTE_US
from stream_app.errors import BadChannels
from stream_app.notifications.channel_file import Channels
from stream_app.notifications.channel_settings import ChannelSettings, ChannelsFile
from stream_app.notifications.channels.channel import Channel
from stream_app.notifications.channels.registry import KINDS


def make_channel(name: str, channels: Channels) -> Channel:
    """Create the channel with the given name. Raise BadChannels if its secret is invalid."""
    try:
        return KINDS[channels.file.channels[name].kind].make(channels.endpoints[name])
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


def make_route(name: str, channel: ChannelSettings, zone: ZoneInfo) -> Route:
    """Return the route of a channel: which alerts it receives, when and in what form."""
    kind, quiet, per_minute = KINDS[channel.kind], channel.quiet(), channel.per_minute
    return Route(
        name,
        alerts=channel.alerts,
        shops=channel.shops,
        causes=channel.causes,
        each=kind.single,
        quiet=QuietHours(*quiet, zone) if quiet is not None else None,
        limits=kind.limits if per_minute is None else (Limit(per_minute, MINUTE_US),),
        language=channel.language,
        max_bytes=kind.max_bytes,
    )


def silent_channels(file: ChannelsFile, hours: Sequence[str]) -> list[str]:
    """Return the channels whose quiet hours contain all hours in which customers may be contacted.

    Their messages arrive when it is too late, or too early, to contact a customer.

    Args:
        file: channel file.
        hours: periods such as 09:00-18:00; empty: all.
    """
    minutes = set().union(*map(minutes_of, hours))
    return [name for name, one in file.channels.items() if minutes and minutes <= minutes_of(one.quiet_hours or "")]


def make_policy(file: ChannelsFile, zone: ZoneInfo) -> Policy:
    """Return the delivery policy for all channels."""
    return Policy(
        live=file.mode == "live",
        digest_hour=file.digest.hour,
        zone=zone,
        settle=file.digest.settle,
        settle_at_most=file.digest.settle_at_most,
        retries=Retries(file.retry.schedule, file.retry.give_up_after),
    )

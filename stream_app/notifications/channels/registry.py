"""Channels, routes and policy from the configuration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from stream_app.config import LiveConfig
from stream_app.config.fields import SECOND_US
from stream_app.core.delivery.quiet_hours import QuietHours
from stream_app.core.delivery.records import MessageText
from stream_app.core.delivery.retry import Limit, Retries
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.messages.alerts import AlertOpened
from stream_app.errors import BadChannels
from stream_app.notifications.channel_file import Channels, Secrets
from stream_app.notifications.channel_settings import Channel as ChannelConfig
from stream_app.notifications.channel_settings import ChannelsFile
from stream_app.notifications.channels import dingtalk, feishu, wecom
from stream_app.notifications.channels.channel import Channel
from stream_app.notifications.channels.http import Poster
from stream_app.notifications.channels.webhook import Webhook, key_of
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.messages.fallback import FallbackComposer
from stream_app.notifications.messages.message import Composer, Message
from stream_app.notifications.playbook.playbook import load_playbook

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of channel: its limits, the room for a message, and how many requests at once."""

    limits: tuple[Limit, ...]
    max_bytes: int
    concurrency: int


KINDS: Final = {
    "webhook": Kind((), 15_000, 4),
    "dingtalk": Kind(dingtalk.LIMITS, dingtalk.TEXT_BYTES, 1),
    "feishu": Kind(feishu.LIMITS, feishu.TEXT_BYTES, 1),
    "wecom": Kind(wecom.LIMITS, wecom.TEXT_BYTES, 1),
    "apprise": Kind((), 15_000, 1),
}


def make_route(name: str, channel: ChannelConfig, zone: ZoneInfo) -> Route:
    """What goes to a channel."""
    kind, quiet = KINDS[channel.kind], channel.quiet()
    return Route(
        name,
        alerts=channel.alerts,
        shops=channel.shops,
        causes=channel.causes,
        each=channel.kind == "webhook",
        quiet=QuietHours(*quiet, zone) if quiet is not None else None,
        limits=channel.limits(kind.limits),
        language=channel.language,
        max_bytes=kind.max_bytes,
    )


def make_policy(file: ChannelsFile, zone: ZoneInfo) -> Policy:
    """What holds for all channels."""
    return Policy(
        live=file.mode == "live",
        digest_hour=file.digest.hour,
        zone=zone,
        settle=file.digest.settle,
        settle_at_most=file.digest.settle_at_most,
        retries=Retries(file.retry.schedule, file.retry.give_up_after),
    )


def make_channel(name: str, config: ChannelConfig, secrets: Secrets) -> Channel:
    """The receiver itself. Raises BadChannels for a secret that is none."""
    timeout = config.timeout / SECOND_US
    if config.kind == "apprise":
        from stream_app.notifications.channels.apprise_channel import AppriseChannel  # noqa: PLC0415

        return AppriseChannel(secrets.url, timeout)
    poster = Poster(secrets.url, timeout_seconds=timeout, allow_private=config.allow_private)
    secret = secrets.keys[0] if secrets.keys else ""
    match config.kind:
        case "webhook":
            return Webhook(poster, [_key(name, key) for key in secrets.keys])
        case "dingtalk":
            return dingtalk.DingTalk(poster, secret, secrets.url)
        case "feishu":
            return feishu.Feishu(poster, secret, secrets.url)
        case _:
            return wecom.WeCom(poster, secrets.url)


def make_channels(channels: Channels) -> dict[str, Channel]:
    """All receivers, by name."""
    return {name: make_channel(name, one, channels.secrets[name]) for name, one in channels.file.channels.items()}


def _key(name: str, secret: str) -> bytes:
    try:
        return key_of(secret)
    except ValueError as error:
        remedy = "It is whsec_ and the base64 of 24 to 64 bytes: openssl rand -base64 32 makes one."
        field = f"channels.{name}.secret or one of its old_secrets"
        raise BadChannels(file="the file of channels", line=1, field=field, problem=str(error), remedy=remedy) from None


def make_composer(config: LiveConfig) -> Composer:
    """What puts alerts into words. Raises BadPlaybook or BadTemplate for a file of the shop's own that is no good."""
    delivery = config.delivery
    return PlaybookComposer(
        load_playbook(delivery.playbook),
        templates=delivery.templates,
        zone=config.shop.settings().zone,
        currency=delivery.currency,
    )


class Words:
    """A `core.delivery.writer.Writer`: the composer, and the plain one where it fails. A bad template stops nothing."""

    def __init__(self, composer: Composer) -> None:
        self._composer, self._plain = composer, FallbackComposer()

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        """See `Writer.alert`."""
        try:
            return _text(self._composer.alert(alert, route.language, route.max_bytes))
        except Exception:  # noqa: BLE001 - a template may fail in any way
            _log.exception("an alert could not be composed", extra={"alert": alert.alert_id, "channel": route.channel})
            return _text(self._plain.alert(alert, route.language, route.max_bytes))

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        """See `Writer.digest`."""
        try:
            composed = self._composer.digest(alerts, route.language, route.max_bytes)
        except Exception:  # noqa: BLE001 - a template may fail in any way
            _log.exception("a digest could not be composed", extra={"channel": route.channel})
            composed = self._plain.digest(alerts, route.language, route.max_bytes)
        return [(_text(message), ids) for message, ids in composed]


def _text(message: Message) -> MessageText:
    return MessageText(message.title, message.markdown, message.plain)

"""Writes messages for the delivery scheduler."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from stream_app.config import LiveConfig
from stream_app.core.delivery.records import MessageText
from stream_app.core.delivery.routing import Route
from stream_app.core.messages.alerts import AlertOpened
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.messages.fallback import FallbackComposer
from stream_app.notifications.messages.message import Composer
from stream_app.notifications.playbook.playbook import load_playbook

_log: Final = logging.getLogger(__name__)


def make_composer(config: LiveConfig) -> Composer:
    """Create the composer from the settings. Raise BadPlaybook or BadTemplate if a file of the shop is invalid."""
    delivery, shop = config.delivery, config.shop.settings()
    return PlaybookComposer(
        load_playbook(delivery.playbook),
        templates=delivery.templates,
        zone=shop.zone,
        currency=delivery.currency,
        horizon=shop.horizon,
    )


class MessageWriter:
    """Composes messages for the scheduler. Uses the fallback if the composer fails, so delivery continues."""

    def __init__(self, composer: Composer) -> None:
        self._composer, self._fallback = composer, FallbackComposer()

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        """Return the message for one alert."""
        try:
            return self._composer.alert(alert, route.language, route.max_bytes)
        except Exception:  # noqa: BLE001 - a template may fail in any way
            _log.exception("Cannot compose an alert", extra={"alert": alert.alert_id, "channel": route.channel})
            return self._fallback.alert(alert, route.language, route.max_bytes)

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        """Return the messages of a digest, each with the ids of its alerts."""
        try:
            return self._composer.digest(alerts, route.language, route.max_bytes)
        except Exception:  # noqa: BLE001 - a template may fail in any way
            _log.exception("Cannot compose a digest", extra={"channel": route.channel})
            return self._fallback.digest(alerts, route.language, route.max_bytes)

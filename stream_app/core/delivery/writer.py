"""What the deliverer's book needs of whoever puts alerts into words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_app.core.delivery.records import MessageText
from stream_app.core.delivery.routing import Route
from stream_app.core.messages.alerts import AlertOpened


class Writer(Protocol):
    """Puts alerts into words, for a channel's language and size."""

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        """The message of one alert."""
        ...

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        """As few messages as hold all alerts, each with the ids of its alerts."""
        ...

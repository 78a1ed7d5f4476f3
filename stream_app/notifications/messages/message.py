"""Interface of a composer of messages to the staff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_app.core.delivery.records import MessageText
from stream_app.core.messages.alerts import AlertOpened


class Composer(Protocol):
    """Composes messages from alerts. Each form of a message is complete without the other one and the title."""

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> MessageText:
        """Return the message for one alert.

        Args:
            alert: the alert.
            language: en or zh.
            max_bytes: maximum size of each form, in UTF-8 bytes.
        """

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[MessageText, tuple[str, ...]]]:
        """Return the messages of several alerts, as few as possible, each with the ids of its alerts."""

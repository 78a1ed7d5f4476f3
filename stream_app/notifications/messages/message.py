"""Message to the staff, and the interface of a composer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_app.core.messages.alerts import AlertOpened


@dataclass(frozen=True)
class Message:
    """A message in two forms. Each is complete without the other form and without the title."""

    title: str
    markdown: str
    plain: str


class Composer(Protocol):
    """Composes messages from alerts."""

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> Message:
        """Return the message for one alert.

        Args:
            alert: the alert.
            language: en or zh.
            max_bytes: maximum size of each form, in UTF-8 bytes.
        """
        ...

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[Message, tuple[str, ...]]]:
        """Return the messages of several alerts, as few as possible, each with the ids of its alerts."""
        ...

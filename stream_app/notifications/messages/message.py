"""A message to the staff, and what composes it; channels need to know no more than this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stream_app.core.messages.alerts import AlertOpened


@dataclass(frozen=True)
class Message:
    """One message in two forms; each is complete without the other, and without the title."""

    title: str
    markdown: str
    plain: str


class Composer(Protocol):
    """Turns alerts into messages."""

    def alert(self, alert: AlertOpened, language: str, max_bytes: int) -> Message:
        """The message of one alert.

        Args:
            alert: as it came.
            language: en or zh.
            max_bytes: of UTF-8, that neither form exceeds.
        """
        ...

    def digest(
        self, alerts: Sequence[AlertOpened], language: str, max_bytes: int
    ) -> list[tuple[Message, tuple[str, ...]]]:
        """As few messages as hold all alerts, each with the ids of those that it holds; none for no alerts."""
        ...

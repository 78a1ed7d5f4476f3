"""Alert routing to channels, and delivery policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from stream_app.core.delivery.quiet_hours import QuietHours
from stream_app.core.delivery.records import MessageText
from stream_app.core.delivery.retry import Limit, Retries
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.units import SECOND_US

URGENT: Final = "urgent"
DIGEST: Final = "digest"
ALL: Final = "all"


@dataclass(frozen=True)
class Route:
    """Which alerts a channel receives, and in what form.

    Attributes:
        channel: channel name.
        alerts: URGENT, DIGEST (all alerts that are not urgent) or ALL.
        shops: send only alerts of these shops; empty means all shops.
        causes: send only alerts whose most likely cause is one of these; empty means all causes.
        each: send every alert in its own message; otherwise only urgent alerts, with the rest in a digest.
        quiet: hours in which no messages are sent.
        limits: rate limits.
        language: en or zh.
        max_bytes: maximum size of a message.
    """

    channel: str
    alerts: str = ALL
    shops: frozenset[str] = frozenset()
    causes: frozenset[str] = frozenset()
    each: bool = False
    quiet: QuietHours | None = None
    limits: tuple[Limit, ...] = ()
    language: str = "en"
    max_bytes: int = 15_000

    def takes(self, alert: AlertOpened) -> bool:
        """Return whether this channel receives an alert. One that hides its causes passes a filter by cause."""
        causes = alert.explanation.causes
        return (
            self.alerts in {ALL, URGENT if alert.urgent else DIGEST}
            and (not self.shops or alert.shop_id in self.shops)
            and (not self.causes or alert.find_out or (bool(causes) and causes[0].key in self.causes))
        )

    def collects(self, alert: AlertOpened) -> bool:
        """Return whether an alert is collected for a digest."""
        return not (alert.urgent or self.each)


@dataclass(frozen=True)
class Policy:
    """Policy for all channels. Times are in microseconds.

    Attributes:
        live: whether messages are sent; if not, deliveries are recorded as suppressed.
        digest_hour: hour of the day in the shop's time zone.
        zone: the shop's time zone.
        settle: time without new alerts after which a digest is sent, since a day's alerts arrive one by one.
        settle_at_most: maximum time that a digest waits after its first alert has arrived and is due.
        retries: retry schedule.
    """

    live: bool = False
    digest_hour: int = 9
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    settle: int = 60 * SECOND_US
    settle_at_most: int = 600 * SECOND_US
    retries: Retries = field(default_factory=Retries)


class MessageWriter(Protocol):
    """Writes alerts as text in the language and within the size limit of a channel."""

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        """Return the message of one alert."""

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        """Return the fewest messages that hold all alerts, each with the ids of its alerts."""

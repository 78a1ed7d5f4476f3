"""Which alerts go to a channel, and how: what the configuration says of it, as the core needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from stream_app.core.delivery.quiet_hours import QuietHours, digest_due
from stream_app.core.delivery.retry import SECOND, Limit, Retries
from stream_app.core.messages.alerts import AlertOpened

URGENT: Final = "urgent"
DIGEST: Final = "digest"
ALL: Final = "all"


@dataclass(frozen=True)
class Route:
    """A channel, as far as it concerns what goes there.

    Attributes:
        channel: its name.
        alerts: URGENT, DIGEST (all others) or ALL.
        shops: only alerts of these shops; none: of all.
        causes: only alerts whose likeliest cause is one of these; none: all.
        each: every alert goes by itself as soon as it is due, as programs want it; else the rest comes as a digest.
        quiet: when nothing is sent.
        limits: how often it may be used.
        language: en or zh.
        max_bytes: of a message.
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
        """Whether an alert goes to this channel."""
        causes = alert.explanation.causes
        return (
            self.alerts in {ALL, URGENT if alert.urgent else DIGEST}
            and (not self.shops or alert.shop_id in self.shops)
            and (not self.causes or (bool(causes) and causes[0].key in self.causes))
        )

    def collects(self, alert: AlertOpened) -> bool:
        """Whether an alert waits for a digest here."""
        return not (alert.urgent or self.each)


@dataclass(frozen=True)
class Policy:
    """What holds for all channels. Microseconds.

    Attributes:
        live: whether anything is delivered; else it is recorded as suppressed.
        digest_hour: of the shop's day.
        zone: the shop's.
        settle: a digest goes when no alert has come for so long: those of a day come from all partitions, one by one.
        settle_at_most: and not later than so long after the first one that it holds has come, or was due.
        retries: how patient we are.
    """

    live: bool = False
    digest_hour: int = 9
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    settle: int = 60 * SECOND
    settle_at_most: int = 600 * SECOND
    retries: Retries = field(default_factory=Retries)

    def due_at(self, alert: AlertOpened, opened_at: int, route: Route, now: int) -> int:
        """When an alert is to be sent, or begins to wait in its digest for others to come."""
        return digest_due(opened_at, self.digest_hour, self.zone) if route.collects(alert) else now

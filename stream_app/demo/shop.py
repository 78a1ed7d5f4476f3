"""The simulated shop as a service: it publishes years of events to any Kafka, and resumes after a restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Final

import msgspec
import xxhash
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health, HealthServer
from stream_app.adapters.kafka.admin import Partition
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import PORT_OFFSETS, SHOP_TOPICS, LiveConfig
from stream_app.core.units import DAY_SECONDS, DAY_US, SECOND_US, micros
from stream_app.demo.staff import working_staff
from stream_app.errors import NotTheClock
from stream_app.publish.feed import Feed, Summary
from stream_app.publish.pace import Pace
from stream_app.publish.schedule import steps
from stream_app.publish.sender import Sender
from stream_app.publish.watermarks import End, places, read_ends
from stream_app.services.runtime.wall_clock import now_us
from stream_app.simulate import ShopSettings, simulate
from stream_app.simulate.calendar import SHOP_ZONE

KAFKA: Final = "kafka"  # name of the health check
SETTLE_US: Final = 2_000_000  # lag behind the wall clock, since workers reject events from the future
_HISTORY_DAYS: Final = 120  # minimum history before today; a shorter one gives no labels and no model
_VERSION: Final = 1  # version of the rules that turn a plan into records
_LOG_SECONDS: Final = 1.0  # minimum time between two log lines
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Which shop to simulate, and at what pace.

    The history is published at full speed, the last days before today at a pace people can follow, and the rest in
    real time.

    Args:
        customers: number of customers over the shop's lifetime.
        days: lifetime of the shop.
        start: when the shop opens, with a UTC offset.
        seed: seed of the simulation; the same seed gives the same shop.
        last_days: number of days before today that take `day_seconds` each.
        day_seconds: duration of each of the last days.
    """

    customers: int
    days: int
    start: datetime
    seed: int = 1
    last_days: float = 0.0
    day_seconds: float = 60.0

    @property
    def shop(self) -> ShopSettings:
        """Simulator settings. Raises ValueError if it does not support them."""
        return ShopSettings(customers=self.customers, days=self.days, start=self.start)

    def identity(self, config: LiveConfig) -> bytes:
        """Return a hash, as 16 hexadecimal digits, of everything that determines the records; the pace does not.

        >>> from datetime import UTC
        >>> len(Plan(100, 30, datetime(2025, 1, 1, tzinfo=UTC)).identity(LiveConfig()))
        16
        """
        shop = config.shop.settings()
        content = [_VERSION, self.customers, self.days, self.start, self.seed]
        schedule = [shop.zone, shop.working_days, shop.nomination_hour, config.kafka.partitions]
        return xxhash.xxh3_64(msgspec.json.encode([*content, *schedule])).hexdigest().encode("ascii")


def possible_starts(today: datetime, days: int) -> list[datetime]:
    """Return the dates on which the shop could have started to have some history today, latest first.

    They are first days of months, so lists for different days overlap and a shop started on an earlier day is found.

    >>> found = possible_starts(datetime(2026, 6, 15, tzinfo=SHOP_ZONE), days=730)
    >>> found[0].isoformat(), found[-1].isoformat()
    ('2026-02-01T00:00:00+08:00', '2024-07-01T00:00:00+08:00')
    """
    found = []
    at = today.astimezone(SHOP_ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while (today - at).days < days:
        if (today - at).days >= _HISTORY_DAYS:
            found.append(at)
        at = (at - timedelta(days=1)).replace(day=1)
    return found


class ShopClock(Pace):
    """Pace of the shop: full speed during the history, then the plan's pace, then real time.

    Args:
        fast_until: end of the history, in microseconds.
        day_seconds: duration of each day after the history.
        stop: flag that ends all waiting.
        now: returns the wall clock, in microseconds since 1970.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        fast_until: int,
        day_seconds: float,
        stop: Flag,
        now: Callable[[], int] = now_us,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(DAY_SECONDS / day_seconds, stop, clock)
        self._fast_until, self._now = fast_until, now

    def left(self, at: int) -> float:
        """Return the number of seconds until a shop time (microseconds) is due."""
        past = (at + SETTLE_US - self._now()) / SECOND_US
        return past if at < self._fast_until else max(past, super().left(at))


class _DayLog:
    """Logs one line per shop day, and fewer during the history.

    Args:
        health: health of the service; each step sends a heartbeat.
        resumes_after: position up to which an earlier run published.
    """

    def __init__(self, health: Health, resumes_after: int) -> None:
        self._health, self._resumes_after = health, resumes_after
        self._day, self._events, self._logged_at = "", 0, float("-inf")

    def __call__(self, summary: Summary) -> None:
        self._health.beat()
        day = f"{summary.until:%Y-%m-%d}" if summary.until else ""
        now = time.monotonic()
        if day == self._day or now - self._logged_at < _LOG_SECONDS or summary.place <= self._resumes_after:
            return
        if self._day:
            _log.info("Day started", extra={"day": day, "events_since": summary.events - self._events})
        self._day, self._events, self._logged_at = day, summary.events, now


def run_shop(config: LiveConfig, plans: Sequence[Plan], stop: Flag, *, staffed: bool = False) -> Summary:
    """Publish a shop's events until `stop` is set or its last day is over. Resume where an earlier run ended.

    Args:
        config: configuration of the services.
        plans: candidate plans. The plan whose log is in the topics is resumed; if they are empty, the first one starts.
        stop: flag that requests a clean stop.
        staffed: whether simulated staff handle the alerts after the history.

    Raises:
        NotTheClock: the workers are configured to send the clock ticks themselves.
        WrongTopics, NoBroker, NotDelivered: Kafka is not reachable or its topics are wrong.
        OtherLog: the topics contain a different log.
    """
    if config.ticks.clock != "log":
        raise NotTheClock(clock=config.ticks.clock)
    health = Health([KAFKA])
    with ExitStack() as stack:
        if config.health.port:
            port = config.health.port + PORT_OFFSETS["shop"]
            server = HealthServer(health, CollectorRegistry(), config.health.host, port)
            stack.callback(server.stop)
            server.start()
        require_topics(config, (*SHOP_TOPICS, "ticks"))
        topics = config.kafka.topics
        ends = read_ends(config, [*topics.of(*SHOP_TOPICS).values(), topics.ticks])
        plan = _published_plan(plans, ends, config)
        identity = plan.identity(config)
        done = places(ends, identity, ticks=topics.ticks, after_other_logs=False)
        sender = Sender(config, identity, done, flat_out=False)
        health.set(KAFKA, ok=True)  # Kafka has answered; the process ends if it stops answering
        _log.info("Shop opened", extra={"start": plan.start.isoformat(), "resumes_after": sender.resumes_after})
        fast_until = now_us() - round(plan.last_days * DAY_US)
        clock, on_step = ShopClock(fast_until, plan.day_seconds, stop), _DayLog(health, sender.resumes_after)
        feed = Feed(sender, clock, config.kafka.partitions, on_step, stop, health.beat)

        def now() -> int:
            """Return the shop time in microseconds, or 0 during the history."""
            at = micros(feed.summary.until) if feed.summary.until is not None else 0
            return at if at >= fast_until else 0

        if staffed:
            stack.enter_context(working_staff(config, plan.shop, plan.seed, now))
        feed.go(steps(simulate(plan.shop, plan.seed), config.shop.settings(), complete=False))
    _log.info("Shop closed", extra={"finished": feed.summary.finished, "sent": feed.summary.sent})
    return feed.summary


def _published_plan(plans: Sequence[Plan], ends: Mapping[Partition, End], config: LiveConfig) -> Plan:
    """Return the plan that generated the log in the topics, or the first plan if the topics are empty."""
    logs = {end.log for end in ends.values()}
    return next((plan for plan in plans if plan.identity(config) in logs), plans[0])

"""The simulated shop as a service: it publishes years of events to any Kafka, and resumes after a restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Final

import msgspec
import xxhash
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health, HealthServer
from stream_app.adapters.kafka.admin import Partition
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import SHOP_TOPICS, LiveConfig
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.demo.staff import StaffThread
from stream_app.errors import NotTheClock
from stream_app.publish.feed import Feed, Listener, Summary
from stream_app.publish.schedule import steps
from stream_app.publish.sender import Sender
from stream_app.publish.watermarks import End, places, read_ends
from stream_app.simulate import ShopSettings, simulate
from stream_app.simulate.calendar import SHOP_ZONE

PORT_OFFSET: Final = 4  # added to health.port
KAFKA: Final = "kafka"  # name of the health check
SETTLE_US: Final = 2_000_000  # lag behind the wall clock, since workers reject events from the future
_HISTORY_DAYS: Final = 120  # minimum history before today, so that there are labels and a model
_VERSION: Final = 1  # version of the rules that turn a plan into records
_NAP_SECONDS: Final = 0.2
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
        """Settings of the simulator. Raises ValueError if it does not support them."""
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

    def starting_at(self, start: datetime) -> Plan:
        """Return a copy of the plan with a different start."""
        return replace(self, start=start)


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


class ShopClock:
    """Clock of the shop: full speed during the history, then the plan's pace, then real time.

    Args:
        fast_until: end of the history, in microseconds.
        day_seconds: duration of each day after the history.
        stop: flag that ends any wait.
        now: wall clock, in microseconds since 1970.
        clock: monotonic clock, in seconds.
    """

    flat_out = False

    def __init__(
        self,
        fast_until: int,
        day_seconds: float,
        stop: Flag,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fast_until, self._pace = fast_until, DAY_US / day_seconds
        self._stop, self._now, self._clock = stop, now, clock
        self._began: tuple[int, float] | None = None  # end of the history: shop time, monotonic seconds

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Wait until the given shop time or until `stop` is set; call `meanwhile` repeatedly while waiting."""
        while (left := self._left(at)) > 0 and not self._stop.is_set():
            meanwhile()
            self._stop.wait(min(left, _NAP_SECONDS))

    def _left(self, at: int) -> float:
        """Return the number of seconds until the given shop time."""
        past = (at + SETTLE_US - self._now()) / 1e6
        if at < self._fast_until:
            return past
        if self._began is None:
            self._began = at, self._clock()
        began_at, began = self._began
        return max(past, began + (at - began_at) / self._pace - self._clock())


class _DayLog(Listener):
    """Logs one line per shop day, and fewer during the history.

    Args:
        health: health of the service; each step sends a heartbeat.
        resumes_after: position up to which an earlier run published.
    """

    def __init__(self, health: Health, resumes_after: int) -> None:
        self._health, self._resumes_after = health, resumes_after
        self._day, self._events, self._logged_at = "", 0, float("-inf")

    def publishing(self, summary: Summary) -> None:
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
    with closing(_HealthEndpoint(config)) as endpoint:
        require_topics(config, (*SHOP_TOPICS, "ticks"))
        topics = config.kafka.topics
        ends = read_ends(config, [*topics.of(*SHOP_TOPICS).values(), topics.ticks])
        plan = _published_plan(plans, ends, config)
        sender = Sender(
            config,
            plan.identity(config),
            places(ends, plan.identity(config), ticks=topics.ticks, after_other_logs=False),
            flat_out=False,
        )
        endpoint.health.set(KAFKA, ok=True)  # Kafka has answered; the process ends if it stops answering
        _log.info("Shop opened", extra={"start": plan.start.isoformat(), "resumes_after": sender.resumes_after})
        fast_until = time.time_ns() // 1_000 - round(plan.last_days * DAY_US)
        clock = _BeatingClock(ShopClock(fast_until, plan.day_seconds, stop), endpoint.health)
        day_log = _DayLog(endpoint.health, sender.resumes_after)
        feed = Feed(sender, clock, config.kafka.partitions, day_log, stop)
        with _staffed(StaffThread(config, plan.shop, plan.seed, _time_of(feed, fast_until)), staffed=staffed):
            feed.go(steps(simulate(plan.shop, plan.seed), config.shop.settings(), complete=False))
    _log.info("Shop closed", extra={"finished": feed.summary.finished, "sent": feed.summary.sent})
    return feed.summary


def _published_plan(plans: Sequence[Plan], ends: Mapping[Partition, End], config: LiveConfig) -> Plan:
    """Return the plan that generated the log in the topics, or the first plan if the topics are empty."""
    logs = {end.log for end in ends.values()}
    return next((plan for plan in plans if plan.identity(config) in logs), plans[0])


@contextmanager
def _staffed(staff: StaffThread, *, staffed: bool) -> Iterator[None]:
    if staffed:
        staff.start()
    try:
        yield
    finally:
        staff.stop()


def _time_of(feed: Feed, fast_until: int) -> Callable[[], int]:
    """Return a function that returns the shop time in microseconds, or 0 during the history."""

    def now() -> int:
        until = feed.summary.until
        at = (until - EPOCH) // MICROSECOND if until is not None else 0
        return at if at >= fast_until else 0

    return now


class _BeatingClock:
    """A clock that sends heartbeats while it waits."""

    flat_out = False

    def __init__(self, clock: ShopClock, health: Health) -> None:
        self._clock, self._health = clock, health

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        def both() -> None:
            self._health.beat()
            meanwhile()

        self._clock.wait(at, both)


class _HealthEndpoint:
    """Health endpoint of the shop."""

    def __init__(self, config: LiveConfig) -> None:
        self.health = Health([KAFKA])
        port = config.health.port and config.health.port + PORT_OFFSET
        self._server = HealthServer(self.health, CollectorRegistry(), config.health.host, port) if port else None
        if self._server is not None:
            self._server.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

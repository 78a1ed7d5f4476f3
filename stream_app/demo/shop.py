"""The simulated shop as a service: years of one shop, fed into any Kafka, and gone on with where it was stopped."""

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
from stream_app.adapters.kafka.offsets import Partition
from stream_app.adapters.kafka.topics import require_topics
from stream_app.config import SHOP_TOPICS, LiveConfig
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.demo.staff import StaffRoom
from stream_app.errors import NotTheClock
from stream_app.publish.feed import Feed, Listener, Summary
from stream_app.publish.schedule import steps
from stream_app.publish.sender import Sender
from stream_app.publish.watermarks import End, places, read_ends
from stream_app.simulate import ShopSettings, simulate
from stream_app.simulate.calendar import SHOP_ZONE

PORT_OFFSET: Final = 4  # above health.port
KAFKA: Final = "kafka"  # the check of its health
SETTLE_US: Final = 2_000_000  # behind the wall clock: workers refuse what lies in their future
_HISTORY_DAYS: Final = 120  # before today at least, so that labels have come and there is a model
_VERSION: Final = 1  # of the rules by which a plan becomes records
_NAP_SECONDS: Final = 0.2
_TOLD_SECONDS: Final = 1.0  # between two lines of the log at least
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Which shop it is, and how its time goes.

    Its past is sent as fast as it can be, its last days before today at a pace for people, and then it goes on in real
    time.

    Args:
        customers: of all its years.
        days: for which the shop exists.
        start: its first moment; with an offset.
        seed: same seed, same shop.
        last_days: before today, that take `day_seconds` each.
        day_seconds: of such a day.
    """

    customers: int
    days: int
    start: datetime
    seed: int = 1
    last_days: float = 0.0
    day_seconds: float = 60.0

    @property
    def shop(self) -> ShopSettings:
        """For the simulator. Raises ValueError for what it cannot do."""
        return ShopSettings(customers=self.customers, days=self.days, start=self.start)

    def identity(self, config: LiveConfig) -> bytes:
        """An id of 16 hexadecimal digits of all that shapes the stream; at which pace it is sent does not.

        >>> from datetime import UTC
        >>> len(Plan(100, 30, datetime(2025, 1, 1, tzinfo=UTC)).identity(LiveConfig()))
        16
        """
        shop = config.shop.settings()
        what = [_VERSION, self.customers, self.days, self.start, self.seed]
        shaping = [shop.zone, shop.working_days, shop.nomination_hour, config.kafka.partitions]
        return xxhash.xxh3_64(msgspec.json.encode([*what, *shaping])).hexdigest().encode("ascii")

    def starting(self, start: datetime) -> Plan:
        """The same with another first moment."""
        return replace(self, start=start)


def starts(today: datetime, days: int) -> list[datetime]:
    """First moments for a shop that has a past today: the first of a month, the latest of them first.

    The list of another day has mostly the same ones: a shop that was begun on one of them is found again.

    >>> found = starts(datetime(2026, 6, 15, tzinfo=SHOP_ZONE), days=730)
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
    """The shop's time: fast through the history, then at its pace, and with the wall clock when it has come to it.

    Args:
        fast_until: end of the history, microseconds.
        day_seconds: that a day takes behind it.
        stop: ends all waiting.
        now: the wall clock, microseconds since 1970.
        clock: seconds that never go back.
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
        self._began: tuple[int, float] | None = None  # the shop's time, and the clock's

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Return when a moment of the shop has come, or when all is to stop. The first one behind the history has."""
        while (left := self._left(at)) > 0 and not self._stop.is_set():
            meanwhile()
            self._stop.wait(min(left, _NAP_SECONDS))

    def _left(self, at: int) -> float:
        """Seconds."""
        past = (at + SETTLE_US - self._now()) / 1e6
        if at < self._fast_until:
            return past
        if self._began is None:
            self._began = at, self._clock()
        began_at, began = self._began
        return max(past, began + (at - began_at) / self._pace - self._clock())


class _Diary(Listener):
    """A line of the log for each day of the shop, in the history for some of them.

    Args:
        health: beats with every step.
        resumes_after: up to this place all was told by an earlier run.
    """

    def __init__(self, health: Health, resumes_after: int) -> None:
        self._health, self._resumes_after = health, resumes_after
        self._day, self._events, self._told = "", 0, float("-inf")

    def publishing(self, summary: Summary) -> None:
        self._health.beat()
        day = f"{summary.until:%Y-%m-%d}" if summary.until else ""
        now = time.monotonic()
        if day == self._day or now - self._told < _TOLD_SECONDS or summary.place <= self._resumes_after:
            return
        if self._day:
            _log.info("a day begins", extra={"day": day, "events_since": summary.events - self._events})
        self._day, self._events, self._told = day, summary.events, now


def keep_shop(config: LiveConfig, plans: Sequence[Plan], stop: Flag, *, staffed: bool = False) -> Summary:
    """Keep a shop alive until `stop` is set or its last day is over. What was sent before is not sent again.

    Args:
        config: of the services.
        plans: the shop is the one of them that the topics hold; if they are empty, the first.
        stop: ends it in order.
        staffed: whether a simulated staff works on its alerts, once the history is over.

    Raises:
        NotTheClock: the settings say that the workers make the ticks.
        WrongTopics, NoBroker, NotDelivered: Kafka is not there, or not as it must be.
        OtherLog: the topics hold something else than one of these shops.
    """
    if config.ticks.clock != "log":
        raise NotTheClock(clock=config.ticks.clock)
    with closing(_Told(config)) as told:
        require_topics(config, (*SHOP_TOPICS, "ticks"))
        topics = config.kafka.topics
        ends = read_ends(config, [*topics.of(*SHOP_TOPICS).values(), topics.ticks])
        plan = _held(plans, ends, config)
        sender = Sender(
            config,
            plan.identity(config),
            places(ends, plan.identity(config), ticks=topics.ticks, after_other_logs=False),
            flat_out=False,
        )
        told.health.set(KAFKA, ok=True)  # it has answered; if it stops to, the process ends
        _log.info("opened", extra={"start": plan.start.isoformat(), "resumes_after": sender.resumes_after})
        fast_until = time.time_ns() // 1_000 - round(plan.last_days * DAY_US)
        clock = _Beating(ShopClock(fast_until, plan.day_seconds, stop), told.health)
        diary = _Diary(told.health, sender.resumes_after)
        feed = Feed(sender, clock, config.kafka.partitions, diary, stop)
        with _staffed(StaffRoom(config, plan.shop, plan.seed, _time_of(feed, fast_until)), staffed=staffed):
            feed.go(steps(simulate(plan.shop, plan.seed), config.shop.settings(), complete=False))
    _log.info("closed", extra={"finished": feed.summary.finished, "sent": feed.summary.sent})
    return feed.summary


def _held(plans: Sequence[Plan], ends: Mapping[Partition, End], config: LiveConfig) -> Plan:
    """The plan that the topics hold, or the first."""
    there = {end.log for end in ends.values()}
    return next((plan for plan in plans if plan.identity(config) in there), plans[0])


@contextmanager
def _staffed(room: StaffRoom, *, staffed: bool) -> Iterator[None]:
    if staffed:
        room.start()
    try:
        yield
    finally:
        room.stop()


def _time_of(feed: Feed, fast_until: int) -> Callable[[], int]:
    """The shop's time, microseconds; 0 as long as its history is played."""

    def now() -> int:
        until = feed.summary.until
        at = (until - EPOCH) // MICROSECOND if until is not None else 0
        return at if at >= fast_until else 0

    return now


class _Beating:
    """A clock that tells the health that time goes on while it waits."""

    flat_out = False

    def __init__(self, clock: ShopClock, health: Health) -> None:
        self._clock, self._health = clock, health

    def wait(self, at: int, meanwhile: Callable[[], None]) -> None:
        def both() -> None:
            self._health.beat()
            meanwhile()

        self._clock.wait(at, both)


class _Told:
    """The shop's health over HTTP."""

    def __init__(self, config: LiveConfig) -> None:
        self.health = Health([KAFKA])
        port = config.health.port and config.health.port + PORT_OFFSET
        self._server = HealthServer(self.health, CollectorRegistry(), config.health.host, port) if port else None
        if self._server is not None:
            self._server.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

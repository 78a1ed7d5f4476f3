"""The living shop: its history is played as fast as the services follow, then time goes on at a pace for people.

Once it lives, a simulated staff works on its alerts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Event as Flag
from threading import Thread
from typing import Final

from stream_app.config import LiveConfig
from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.schedule import Moment, due_ticks
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from stream_app.demo.backpressure import Backpressure
from stream_app.demo.staff import StaffRoom
from stream_app.publish.sender import ROLES, Sender
from stream_app.simulate import ShopSettings, simulate
from stream_app.simulate.shop import DEFAULT_START

_AHEAD_US: Final = 8 * DAY_US  # of the slowest partition while the history is played: the broker keeps little
_BEHIND_US: Final = 2 * DAY_US  # when the services are so far behind, the shop's clock waits for them
_TICK_US: Final = 2 * HOUR_US
_FRAME_SECONDS: Final = 0.04
_POLL_SECONDS: Final = 0.02
_LOG: Final = b"demo"


class Phase(StrEnum):
    """What the shop is doing."""

    OPENING = "opening"  # it is being drawn
    HISTORY = "history"
    LIVING = "living"


@dataclass(frozen=True)
class Plan:
    """How large the shop is, and how its time goes.

    Args:
        customers: how many.
        history_days: played fast, so that there is a model.
        living_days: at a living pace, at most.
        day_seconds: of a living day.
        seed: of the shop.
        start: its first moment.
    """

    customers: int
    history_days: int
    living_days: int
    day_seconds: float
    seed: int = 1
    start: datetime = DEFAULT_START

    @property
    def shop(self) -> ShopSettings:
        """For the simulator."""
        return ShopSettings(customers=self.customers, days=self.history_days + self.living_days, start=self.start)


class ShopSimulation(Thread):
    """Feeds the topics, and is the clock: its ticks name the model version, as those of a worker do live.

    Args:
        config: of the services.
        plan: of the shop.
        ready: whether the services are; nothing is published before.
    """

    def __init__(self, config: LiveConfig, plan: Plan, ready: Flag) -> None:
        super().__init__(name="shop", daemon=True)
        self.phase = Phase.OPENING
        self.now = 0  # the shop's time, microseconds
        self.began = 0  # its first moment
        self.sent = 0  # events
        self.error: Exception | None = None
        self._config, self._plan, self._ready = config, plan, ready
        self._settings = config.shop.settings()
        self._stop_asked = Flag()
        self._ticked: int | None = None
        self._place = 0
        self._next: Event | None = None
        self._staff = StaffRoom(config, plan.shop, plan.seed, lambda: self.now)

    def stop(self) -> None:
        """Close the shop, and wait until it is."""
        self._stop_asked.set()
        if self.is_alive():
            self.join()

    @property
    def history_share(self) -> float:
        """How much of the history has been played, 0 to 1."""
        return min((self.now - self.began) / (self._plan.history_days * DAY_US), 1.0)

    def run(self) -> None:
        """Until stopped."""
        try:
            self._open()
            with Backpressure(self._config) as followers:
                self._play_history(followers)
                self._staff.start()
                self._live(followers)
        except Exception as error:  # noqa: BLE001 - told by the main thread, which ends the demo
            self.error = error
        finally:
            self._staff.stop()

    def _open(self) -> None:
        self._events: Iterator[Event] = (
            event for batch in simulate(self._plan.shop, self._plan.seed) for event in batch
        )
        self._next = next(self._events)
        self.began = self.now = self._next.at // DAY_US * DAY_US
        self._labelled_from = self.began + self._settings.horizon + self._settings.lateness
        topics = self._config.kafka.topics
        names = [*topics.of(*ROLES.values()).values(), topics.ticks]
        nothing_yet = {(name, number): 0 for name in names for number in range(self._config.kafka.partitions)}
        self._sender = Sender(self._config, _LOG, nothing_yet, flat_out=False)
        while not self._ready.is_set() and not self._stop_asked.is_set():
            self._stop_asked.wait(_POLL_SECONDS)

    def _play_history(self, followers: Backpressure) -> None:
        self.phase = Phase.HISTORY
        end = self.began + self._plan.history_days * DAY_US
        while self.now < end and not self._stop_asked.is_set():
            self._go_to(min(self.now + DAY_US, end), followers, DAY_US, nominates=False)
            self._wait(lambda: followers.stream_time() >= self.now - _AHEAD_US)
        self._wait(lambda: followers.stream_time() >= end and followers.through() >= end - DAY_US)

    def _live(self, followers: Backpressure) -> None:
        self.phase = Phase.LIVING
        end = self.began + (self._plan.history_days + self._plan.living_days) * DAY_US
        pace, last = DAY_US / self._plan.day_seconds, time.monotonic()
        while self.now < end and not self._stop_asked.wait(_FRAME_SECONDS):
            started, last = last, time.monotonic()
            self._go_to(min(self.now + round((last - started) * pace), end), followers, _TICK_US, nominates=True)
            if followers.stream_time() < self.now - _BEHIND_US:
                self._wait(lambda: followers.stream_time() >= self.now - _BEHIND_US // 2)
                last = time.monotonic()

    def _go_to(self, moment: int, followers: Backpressure, every: int, *, nominates: bool) -> None:
        """Let the shop's time pass, with what happens in it and the ticks that are due."""
        for due in due_ticks(self._ticked, moment, every, self._settings):
            self._send_before(due.at)
            self._sender.flush()  # a reader at the head must not hear that time has passed before it could read
            self._tick(due, followers.version_at(due.at), nominates=nominates and due.nominates)
        self._send_before(moment)
        self.now = moment

    def _send_before(self, moment: int) -> None:
        events: list[Event] = []
        while self._next is not None and self._next.at < moment:
            events.append(self._next)
            self._next = next(self._events, None)
        self._sender.events(events, self._place + 1)
        self._place += len(events)
        self.sent += len(events)

    def _tick(self, due: Moment, version: int, *, nominates: bool) -> None:
        at = EPOCH + due.at * MICROSECOND
        self._place += 1
        learns = due.learns and due.at > self._labelled_from  # before it there is nothing to learn from
        self._sender.tick(Tick(at, version=version, learns=learns, nominates=nominates), self._place)
        self._ticked = due.at

    def _wait(self, come: Callable[[], bool]) -> None:
        self._sender.flush()
        while not self._stop_asked.is_set() and not come():
            self._stop_asked.wait(_POLL_SECONDS)

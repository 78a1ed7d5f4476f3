"""Simulation of the demo's shop: the history as fast as the services keep up, then days at a pace people can follow.

Simulated staff handle the alerts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from threading import Event as Flag, Thread
from typing import Final

from stream_app.config import LiveConfig
from stream_app.core.events.schema import Event
from stream_app.core.messages.schema import Tick
from stream_app.core.partition.progress import decode_summary
from stream_app.core.schedule import Moment, due_ticks
from stream_app.core.units import DAY_US, HOUR_US, NEVER, from_micros
from stream_app.demo.staff import working_staff
from stream_app.publish.sender import ROLES, Sender
from stream_app.services.runtime.stores import Stores
from stream_app.simulate import ShopSettings, simulate
from stream_app.simulate.shop import DEFAULT_START

_AHEAD_US: Final = 8 * DAY_US  # maximum lead over the slowest partition, since the broker keeps few records
_TICK_US: Final = 2 * HOUR_US
_FRAME_SECONDS: Final = 0.04
_LONGEST_FRAME_SECONDS: Final = 0.3  # the shop's clock does not catch up with a longer wait for the services
_POLL_SECONDS: Final = 0.02
_LOG: Final = b"demo"


class Phase(StrEnum):
    """Phase of the simulation."""

    OPENING = "opening"  # the services are starting
    HISTORY = "history"
    LIVE = "live"
    OVER = "over"  # the plan's last day has ended


@dataclass(frozen=True)
class Plan:
    """Size and pace of the simulated shop.

    Args:
        customers: number of customers.
        history_days: number of days replayed at full speed, from which the model learns.
        live_days: maximum number of days after the history.
        day_seconds: duration of each day after the history.
        seed: seed of the simulation.
        start: when the shop opens.
    """

    customers: int
    history_days: int
    live_days: int
    day_seconds: float
    seed: int = 1
    start: datetime = DEFAULT_START

    @property
    def shop(self) -> ShopSettings:
        """Simulator settings."""
        return ShopSettings(customers=self.customers, days=self.history_days + self.live_days, start=self.start)


class Backpressure:
    """Reads the progress of the services, which limits how far the shop runs ahead of them."""

    def __init__(self, config: LiveConfig) -> None:
        self._partitions = range(config.kafka.partitions)
        self._stores = Stores(config)
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Close the connections."""
        self._runner.run(self._stores.close())
        self._runner.close()

    def stream_time(self) -> int:
        """Return the stream time of the slowest partition, in microseconds."""
        stored = self._runner.run(self._stores.states.summaries(self._partitions)).values()
        return min(decode_summary(one).stream_time if one else NEVER for one in stored)

    def has_allocated(self, moment: int) -> bool:
        """Return whether the alerts of a moment have reached all partitions, which wait for them."""
        stored = self._runner.run(self._stores.states.summaries(self._partitions)).values()
        return all(one and decode_summary(one).allocator_moment >= moment for one in stored)

    def through(self) -> int:
        """Return the stream time up to which the trainer has processed labels, in microseconds."""
        return self._runner.run(self._stores.models.through())

    def version_at(self, moment: int) -> int:
        """Return the model version in use at a stream time; 0 is the untrained model."""
        return self._runner.run(self._stores.models.version_at(moment)) or 0


class ShopSimulation(Thread):
    """Thread that publishes the shop's events and the clock ticks, which carry the model version in use.

    Args:
        config: configuration of the services.
        plan: plan of the shop.
        ready: event that is set when the worker is ready; nothing is published before that.
    """

    def __init__(self, config: LiveConfig, plan: Plan, ready: Flag) -> None:
        super().__init__(name="shop", daemon=True)
        self.phase = Phase.OPENING
        self.now = 0  # shop time, microseconds
        self.began = 0  # when the shop opens, microseconds
        self.sent = 0  # number of events published
        self.error: Exception | None = None
        self._config, self._plan, self._ready = config, plan, ready
        self._settings = config.shop.settings()
        self._stopping = Flag()
        self._ticked: int | None = None
        self._position = 0
        self._next: Event | None = None

    def stop(self) -> None:
        """Stop the simulation and wait for the thread to end."""
        self._stopping.set()
        if self.is_alive():
            self.join()

    @property
    def history_share(self) -> float:
        """Share of the history replayed so far, 0 to 1."""
        return min((self.now - self.began) / (self._plan.history_days * DAY_US), 1.0)

    def run(self) -> None:
        """Publish until stopped."""
        try:
            self._open()
            staff = working_staff(self._config, self._plan.shop, self._plan.seed, lambda: self.now)
            with closing(Backpressure(self._config)) as backpressure, staff:
                self._replay_history(backpressure)
                self._run_live(backpressure)
            self.phase = Phase.OVER
        except Exception as error:  # noqa: BLE001 - the main thread re-raises it
            self.error = error

    def _open(self) -> None:
        self._events: Iterator[Event] = (
            event for batch in simulate(self._plan.shop, self._plan.seed) for event in batch
        )
        self._next = next(self._events)
        self.began = self.now = self._next.at // DAY_US * DAY_US
        self._labelled_from = self.began + self._settings.horizon + self._settings.lateness
        topics = self._config.kafka.topics
        names = [*topics.of(*ROLES.values()).values(), topics.ticks]
        resume_after = {(name, number): 0 for name in names for number in range(self._config.kafka.partitions)}
        self._sender = Sender(self._config, _LOG, resume_after, flat_out=False)
        while not self._ready.is_set() and not self._stopping.is_set():
            self._stopping.wait(_POLL_SECONDS)

    def _replay_history(self, backpressure: Backpressure) -> None:
        self.phase = Phase.HISTORY
        end = self.began + self._plan.history_days * DAY_US
        while self.now < end and not self._stopping.is_set():
            self._advance(min(self.now + DAY_US, end), backpressure, DAY_US, nominates=False)
            self._wait(lambda: backpressure.stream_time() >= self.now - _AHEAD_US)
        self._wait(lambda: backpressure.stream_time() >= end and backpressure.through() >= end - DAY_US)

    def _run_live(self, backpressure: Backpressure) -> None:
        self.phase = Phase.LIVE
        end = self.began + (self._plan.history_days + self._plan.live_days) * DAY_US
        pace, last = DAY_US / self._plan.day_seconds, time.monotonic()
        while self.now < end and not self._stopping.wait(_FRAME_SECONDS):
            started, last = last, time.monotonic()
            frame = min(last - started, _LONGEST_FRAME_SECONDS)
            self._advance(min(self.now + round(frame * pace), end), backpressure, _TICK_US, nominates=True)

    def _advance(self, moment: int, backpressure: Backpressure, every: int, *, nominates: bool) -> None:
        """Publish events and ticks up to a point in time, with one tick per `every` microseconds."""
        for due in due_ticks(self._ticked, moment, every, self._settings):
            self._send_before(due.at)
            self._sender.flush()  # consumers must not read the tick before the events that precede it
            self._tick(due, backpressure.version_at(due.at), nominates=nominates and due.nominates)
            if nominates and due.nominates:
                self._wait(partial(backpressure.has_allocated, due.at))
        self._send_before(moment)
        self.now = moment

    def _send_before(self, moment: int) -> None:
        events: list[Event] = []
        while self._next is not None and self._next.at < moment:
            events.append(self._next)
            self._next = next(self._events, None)
        self._sender.events(events, self._position + 1)
        self._position += len(events)
        self.sent += len(events)

    def _tick(self, due: Moment, version: int, *, nominates: bool) -> None:
        at = from_micros(due.at)
        self._position += 1
        learns = due.learns and due.at > self._labelled_from  # there are no labels before this
        # A day takes a second: without the wait, partitions would propose customers again before they learn of the
        # alerts of the day before.
        tick = Tick(at, version=version, learns=learns, nominates=nominates, waits=nominates)
        self._sender.tick(tick, self._position)
        self._ticked = due.at

    def _wait(self, condition: Callable[[], bool]) -> None:
        self._sender.flush()
        while not self._stopping.is_set() and not condition():
            self._stopping.wait(_POLL_SECONDS)

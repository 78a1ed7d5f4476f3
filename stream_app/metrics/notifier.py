"""Notifier metrics: deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry

from stream_app.core.delivery.records import REASONS, STATES
from stream_app.core.delivery.routing import Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.units import SECOND_US
from stream_app.metrics.base import Metrics
from stream_app.metrics.labels import ATTEMPTS

_ATTEMPT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)  # seconds


class DeliveryMetrics(Metrics):
    """Deliveries by channel. Channel names are used as labels; the channel file limits their number.

    Args:
        registry: registry of the process.
        routes: routes of all channels.
    """

    def __init__(self, registry: CollectorRegistry, routes: Iterable[Route] = ()) -> None:
        super().__init__(registry)
        self.alerts = self._counter("delivery_alerts", "Alert messages received, opened and closed.")
        self.deliveries = self._counter(
            "deliveries", "Finished deliveries (one alert to one channel), by outcome.", "channel", "outcome"
        )
        self.suppressed = self._counter("deliveries_suppressed", "Deliveries suppressed, by reason.", "reason")
        self.attempts = self._counter("delivery_attempts", "Requests to receivers, by outcome.", "channel", "outcome")
        self.duration = self._histogram("delivery_attempt_duration_seconds", "Duration of a request.", _ATTEMPT)
        self.pending = self._gauge("delivery_pending_records", "Pending deliveries, including digests.", "channel")
        self.dead = self._gauge("delivery_dead_records", "Dead deliveries, which can be redriven.")
        self.oldest = self._gauge("delivery_oldest_pending_seconds", "Age of the oldest pending message.", "channel")
        self.disabled = self._gauge(
            "delivery_channel_disabled",
            "1 if the channel is disabled because the receiver answered HTTP 410.",
            "channel",
        )
        self._names = [route.channel for route in routes]
        for name in self._names:
            for outcome in STATES[1:]:
                self.deliveries.labels(name, outcome)
            for outcome in ATTEMPTS:
                self.attempts.labels(name, outcome)
        for reason in REASONS:
            self.suppressed.labels(reason)

    def update(self, scheduler: DeliveryScheduler, now: int) -> None:
        """Set the gauges from the scheduler and count the deliveries that have ended since the last call.

        Args:
            scheduler: scheduler whose `outcomes` are counted and cleared.
            now: wall-clock time, microseconds.
        """
        for (channel, state, reason), count in scheduler.outcomes.items():
            self.deliveries.labels(channel, state).inc(count)
            if reason:
                self.suppressed.labels(reason).inc(count)
        scheduler.outcomes.clear()
        pending, oldest = scheduler.pending(), scheduler.oldest()
        for name in self._names:
            self.pending.labels(name).set(pending[name])
            self.oldest.labels(name).set(max(now - oldest.get(name, now), 0) / SECOND_US)
            self.disabled.labels(name).set(bool(scheduler.channels[name].gone_at))
        self.dead.set(scheduler.dead)

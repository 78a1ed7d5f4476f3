"""Runs a service as a process: startup, health reports, graceful shutdown on a signal, immediate exit on an error."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, NoReturn

import uvloop
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health, HealthServer
from stream_app.adapters.kafka.admin import PartitionOffsets
from stream_app.adapters.kafka.monitor import KafkaMonitor
from stream_app.config import PORT_OFFSETS, LiveConfig
from stream_app.core.units import SECOND_US
from stream_app.errors import ChurnMonitorError, StopCutShort
from stream_app.metrics.base import new_registry
from stream_app.services.runtime.consumer_service import ConsumerService
from stream_app.services.runtime.crash import Crash, guarded
from stream_app.services.runtime.logs import set_up
from stream_app.services.runtime.watchdog import Watchdog

STARTED: Final = "started"  # name of the first health check, which every service has
_REPORT_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 25.0  # process supervisors usually kill a process after 30
_CRASH_STOP_SECONDS: Final = 3.0
# A fetch changes threads several times between Kafka and an agent, and each time a busy thread holds the interpreter
# for up to this long. With Python's default of 5 ms that adds up to tens of milliseconds.
_SWITCH_SECONDS: Final = 0.0005
FULL_EVERY_SECONDS: Final = 3_600.0
YOUNG_EVERY_SECONDS: Final = 30.0  # reference counting frees most objects; every 0.5 s took 7 % of a worker's time
_YOUNG: Final = 1  # generation
_log = logging.getLogger(__name__)
Make = Callable[[LiveConfig, CollectorRegistry, Crash], ConsumerService]


class Collector:
    """Runs the cyclic garbage collector on a schedule: young objects often, everything once per hour.

    By default a full collection runs whenever the number of objects has grown by a quarter, which pauses a process with
    a million customers for seconds. Customer states have no cycles, and the cycles that asyncio creates are
    short-lived.
    """

    def __init__(self, now: float) -> None:
        gc.disable()
        self._full_at = self._young_at = now

    def collect(self, now: float) -> None:
        """Collect if it is time; `now` is monotonic seconds. Called twice per second."""
        if now - self._full_at >= FULL_EVERY_SECONDS:
            gc.collect()
            self._full_at = now
        elif now - self._young_at >= YOUNG_EVERY_SECONDS:
            gc.collect(_YOUNG)
            self._young_at = now


def run_service(name: str, config: LiveConfig, make: Make) -> int:
    """Run a service until a signal or an error ends it, and return the exit status.

    SIGTERM and SIGINT let it finish its current batch. An error ends the process at once: its memory can no
    longer be trusted, but the stored data is consistent.
    """
    set_up(config.log.level, config.log.format)
    sys.setswitchinterval(_SWITCH_SECONDS)
    registry, health = new_registry(), Health([STARTED])
    port = config.health.port and config.health.port + PORT_OFFSETS[name]
    with ExitStack() as exits:
        if port:
            server = HealthServer(health, registry, config.health.host, port)
            server.start()
            exits.callback(server.stop)
        runner = exits.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        error = runner.run(_serve(name, config, make, registry, health))
        if error is not None:
            _exit(name, error)  # before the runner waits for tasks that may never finish
    return 0


def _exit(name: str, error: BaseException) -> NoReturn:
    _report(name, error)
    logging.shutdown()
    sys.stderr.flush()
    # Do not wait for Faust's consumer thread, which may never finish.
    os._exit(error.exit_code if isinstance(error, ChurnMonitorError) else 1)


def _report(name: str, error: BaseException) -> None:
    """Print one of our own errors if standard error is a terminal, because its text says what to do; log all others."""
    if isinstance(error, ChurnMonitorError) and sys.stderr.isatty():
        sys.stderr.write(f"stream-app {name}: {error}\n")
        return
    _log.error("Service failed", extra={"service": name, "error": str(error)})
    if not isinstance(error, ChurnMonitorError):
        _log.error("Traceback", exc_info=error)


def _end(ended: asyncio.Future[BaseException | None], error: BaseException | None = None) -> None:
    if not ended.done():
        ended.set_result(error)


async def _serve(
    name: str, config: LiveConfig, make: Make, registry: CollectorRegistry, health: Health
) -> BaseException | None:
    """Start, monitor and stop a service; return the error that ended it, if any."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[BaseException | None] = loop.create_future()
    end = partial(_end, ended)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        service = make(config, registry, end)
        await _started(service, health)
    except Exception as error:  # noqa: BLE001 - any error ends the process
        return error
    _log.info("Service started", extra={"service": name, "policy": config.shop.settings().policy.version})
    health.set(STARTED, ok=True)
    failure = await _monitored(service, config, health, ended)
    _log.info("Service stopping", extra={"service": name})
    if failure is not None:
        # The consumer group waits for a static member to return anyway, and the process exits with the first error.
        with suppress(Exception):
            await asyncio.wait_for(service.app.stop(), _CRASH_STOP_SECONDS)
        return failure
    unfinished = await _stopped(service)
    if unfinished is None:
        _log.info("Service stopped", extra={"service": name})
    return unfinished


async def _started(service: ConsumerService, health: Health) -> None:
    """Start a service. If Faust crashes meanwhile, raise its error, because the start may then wait forever."""
    starting = asyncio.create_task(service.start())
    while not (starting.done() or service.app.crashed):
        health.beat()
        await asyncio.wait({starting}, timeout=_REPORT_SECONDS)
    if service.app.crashed:
        raise service.app.crash_reason or RuntimeError("Faust has crashed")
    await starting


async def _stopped(service: ConsumerService) -> BaseException | None:
    """Stop a service; return the error if it did not stop cleanly."""
    stopping = asyncio.create_task(service.stop())
    await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
    if not stopping.done():  # not cancelled: a client whose broker is down may ignore cancellation
        return StopCutShort(seconds=_STOP_SECONDS)
    return stopping.exception()  # Kafka or Redis is unavailable or too slow; stored data is consistent


async def _monitored(
    service: ConsumerService, config: LiveConfig, health: Health, ended: asyncio.Future[BaseException | None]
) -> BaseException | None:
    """Monitor a service until it ends; return the error that ended it, if any."""

    async def check() -> None:
        collector = Collector(time.monotonic())
        while True:
            _check(service, health, monitor, collector)
            await asyncio.sleep(_REPORT_SECONDS)

    # After this time without Kafka, a group member has lost its partitions.
    away_after = config.kafka.session_timeout / SECOND_US
    monitor = KafkaMonitor(PartitionOffsets(config.kafka).ends, away_after, gone=service.topic_watch.missing)
    watches: list[KafkaMonitor | Watchdog] = [monitor]
    if after := config.health.watchdog_after / SECOND_US:
        watches.append(Watchdog(lambda: monitor.excused(service.progress), after))  # processing
        watches.append(Watchdog(lambda: monitor.progress, after))  # receiving
    for watch in watches:
        watch.start()
    checks = asyncio.create_task(guarded(check(), partial(_end, ended)))
    failure = await ended
    checks.cancel()
    for watch in watches:
        watch.stop()
    return failure


def _check(service: ConsumerService, health: Health, monitor: KafkaMonitor, collector: Collector) -> None:
    """Update the health report. Raises the error if Faust has crashed."""
    health.beat()
    collector.collect(time.monotonic())
    service.report(health)
    monitor.positions = {(tp.topic, tp.partition): at for tp, at in service.standing().items()}
    away = monitor.away
    silent = f"Kafka has not answered for {monitor.silent_seconds:.0f} s. {monitor.problem}".rstrip()
    health.set("kafka", not away, silent if away else "")
    gone = monitor.gone_topics
    health.set("topics", not gone, f"{', '.join(gone)}: no longer in Kafka" if gone else "")
    if monitor.other_topic is not None:
        raise monitor.other_topic
    if service.app.crashed:
        raise service.app.crash_reason or RuntimeError("Faust has crashed")
    if service.app.should_stop:
        raise RuntimeError("Faust has stopped")

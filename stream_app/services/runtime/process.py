"""A service as a process: starts, tells how it is, ends on a signal with its batch finished, or at once on an error."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, Protocol

import faust
import uvloop
from prometheus_client import CollectorRegistry

from stream_app.adapters.http.health import Health, HealthServer
from stream_app.adapters.kafka.end_offsets import KafkaEnds
from stream_app.adapters.kafka.monitor import KafkaMonitor
from stream_app.config import PORT_OFFSETS, LiveConfig
from stream_app.config.fields import SECOND_US
from stream_app.core.stall import Progress
from stream_app.errors import ChurnMonitorError, StopCutShort
from stream_app.metrics.base import new_registry
from stream_app.services.runtime.faust_app import standing
from stream_app.services.runtime.garbage_collection import Collector
from stream_app.services.runtime.logs import set_up
from stream_app.services.runtime.topic_watch import TopicWatch
from stream_app.services.runtime.watchdog import Watchdog

STARTED: Final = "started"  # the first check of every service
_REPORT_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 25.0  # a supervisor of processes usually kills after 30
_CRASH_STOP_SECONDS: Final = 3.0
# Between Kafka and an agent a fetch changes threads several times, and each time the busy thread holds the interpreter
# for this long before it lets go: with Python's usual 5 ms that adds up to tens of milliseconds.
_SWITCH_SECONDS: Final = 0.0005
_log = logging.getLogger(__name__)
Crash = Callable[[BaseException], Awaitable[None]]


class Service(Protocol):
    """What a process runs."""

    app: faust.App
    topic_watch: TopicWatch

    async def start(self) -> None:
        """Connect, claim, and begin to consume."""
        ...

    async def stop(self) -> None:
        """Finish what is under way, and let go."""
        ...

    def report(self, health: Health) -> None:
        """Tell how it is; called twice a second."""
        ...

    @property
    def progress(self) -> Progress:
        """How far it is, for the watchdog; read from another thread."""
        ...


Make = Callable[[LiveConfig, CollectorRegistry, Crash], Service]


def run_service(name: str, config: LiveConfig, make: Make) -> int:
    """Run a service until a signal or an error ends it; returns the exit status.

    SIGTERM and SIGINT finish the batch under way. An error ends the process without that: what it holds in memory can't
    be trusted, and what is stored is whole.
    """
    set_up(config.log.level, config.log.format)
    sys.setswitchinterval(_SWITCH_SECONDS)
    registry, health = new_registry(), Health([STARTED])
    port = config.health.port and config.health.port + PORT_OFFSETS[name]
    server = HealthServer(health, registry, config.health.host, port) if port else None
    if server is not None:
        server.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            error = runner.run(_life(name, config, make, registry, health))
            if error is not None:
                _leave(name, error)  # before the runner waits for tasks that may wait for what never comes
    finally:
        if server is not None:
            server.stop()
    return 0


def _leave(name: str, error: BaseException) -> NoReturn:
    """Say why, and end at once."""
    _tell(name, error)
    logging.shutdown()
    sys.stderr.flush()
    # Faust's consumer thread may wait for what never comes: nothing that it would do is wanted any more.
    os._exit(error.exit_code if isinstance(error, ChurnMonitorError) else 1)


def _tell(name: str, error: BaseException) -> None:
    """Say why the service ends: in a terminal an error of ours as it is, for it holds the remedy; else in the log."""
    if isinstance(error, ChurnMonitorError) and sys.stderr.isatty():
        sys.stderr.write(f"stream-app {name}: {error}\n")
        return
    _log.error("ended by an error", extra={"service": name, "error": str(error)})
    if not isinstance(error, ChurnMonitorError):
        _log.error("the error", exc_info=error)


async def _life(
    name: str, config: LiveConfig, make: Make, registry: CollectorRegistry, health: Health
) -> BaseException | None:
    """Start, watch, stop; returns the error that ended it."""
    ended, errors = asyncio.Event(), list[BaseException]()

    async def crash(error: BaseException) -> None:
        errors.append(error)
        ended.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        service = make(config, registry, crash)
        await _started(service, health)
    except Exception as error:  # noqa: BLE001 - whatever it is, the process ends with it
        return error
    _log.info("started", extra={"service": name})
    health.set(STARTED, ok=True)
    # Who has heard nothing of Kafka for so long has lost his partitions.
    away_after = config.kafka.session_timeout / SECOND_US
    monitor = KafkaMonitor(KafkaEnds(config.kafka), away_after=away_after, gone=service.topic_watch.look)
    monitor.start()
    watch = asyncio.create_task(_watch(service, health, monitor, ended, errors))
    watchdogs = _watchdogs(service, monitor, config.health.watchdog_after / SECOND_US)
    await ended.wait()
    watch.cancel()
    for watchdog in watchdogs:
        watchdog.stop()
    monitor.stop()
    _log.info("stopping", extra={"service": name})
    if errors:
        await _abandon(service)
        return errors[0]
    unfinished = await _stopped(service)
    if unfinished is None:
        _log.info("stopped", extra={"service": name})
    return unfinished


async def _started(service: Service, health: Health) -> None:
    """Start a service. Raises what ended Faust meanwhile: its own start may wait for ever."""
    starting = asyncio.create_task(service.start())
    while not (starting.done() or service.app.crashed):
        health.beat()
        await asyncio.wait({starting}, timeout=_REPORT_SECONDS)
    if service.app.crashed:
        raise service.app.crash_reason or RuntimeError("Faust has crashed")
    await starting


def _watchdogs(service: Service, monitor: KafkaMonitor, after: float) -> list[Watchdog]:
    """One for what has come, and one for what should come; none if they are switched off."""
    if not after:
        return []
    watchdogs = [
        Watchdog(lambda: monitor.excused(service.progress), after),
        Watchdog(lambda: monitor.progress, after),
    ]
    for watchdog in watchdogs:
        watchdog.start()
    return watchdogs


async def _stopped(service: Service) -> BaseException | None:
    """Let a service finish; returns why it did not."""
    stopping = asyncio.create_task(service.stop())
    await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
    if not stopping.done():  # it is left as it is: whoever waits for a dead broker may not hear of a cancellation
        return StopCutShort(seconds=_STOP_SECONDS)
    return stopping.exception()  # Kafka or Redis are gone, or too slow: what is stored is whole


async def _watch(
    service: Service, health: Health, monitor: KafkaMonitor, ended: asyncio.Event, errors: list[BaseException]
) -> None:
    """Look twice a second, until something is wrong."""
    collector = Collector(time.monotonic())
    while not ended.is_set():
        try:
            _look(service, health, monitor, collector)
        except Exception as error:  # noqa: BLE001 - a process that nobody watches must not go on
            errors.append(error)
            ended.set()
        await asyncio.sleep(_REPORT_SECONDS)


def _look(service: Service, health: Health, monitor: KafkaMonitor, collector: Collector) -> None:
    """Report, and see whether Faust has crashed."""
    health.beat()
    collector.look(time.monotonic())
    service.report(health)
    monitor.note({(tp.topic, tp.partition): at for tp, at in standing(service.app).items()})
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


async def _abandon(service: Service) -> None:
    """Leave the group if that is quickly done; a static member is waited for anyway."""
    try:
        await asyncio.wait_for(service.app.stop(), _CRASH_STOP_SECONDS)
    except Exception:  # noqa: BLE001 - the process ends, and the first error is the one that counts
        _log.debug("Faust did not stop in time")

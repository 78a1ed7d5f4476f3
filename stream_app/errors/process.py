"""Errors of long-running processes: the services, the demo, the simulated shop and the receiver."""

from __future__ import annotations

from stream_app.errors.base import ChurnMonitorError, InvalidInput, Unreachable


class Stalled(ChurnMonitorError):
    """No progress for {seconds:.0f} s while {lag} records are waiting. The process ends; restart it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class StopCutShort(Unreachable):
    """Shutdown did not finish within {seconds:.0f} s because Kafka or Redis does not answer. Stored data is consistent,
    and the next start resumes from it.
    """


class NotTheClock(InvalidInput):
    """The simulated shop writes its own ticks, but ticks.clock is {clock}. Set ticks.clock to log for the shop and the
    workers.
    """


class CannotListen(InvalidInput):
    """{server} cannot listen on {host}, port {port}: {problem}. {remedy}"""


class NoEmbeddedServer(Unreachable):
    """The embedded {server} of the demo cannot be started: {problem}. {remedy}"""


class DemoFailed(ChurnMonitorError):
    """The demo ended: {part} {problem}. Last log lines: {words} All logs are in {folder}."""

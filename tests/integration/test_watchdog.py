"""The watchdog in a process of its own, which it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from stream_app.core.stall import Progress
from stream_app.errors import Stalled
from stream_app.services.runtime.watchdog import Watchdog, thread_dump

STANDS_STILL = """
import time
from stream_app.services.runtime import logs
from stream_app.services.runtime.watchdog import Watchdog
from stream_app.core.stall import Progress

def stuck():
    time.sleep(30)

logs.set_up()
Watchdog(lambda: Progress(position=7, lag={lag}, waiting={waiting}), after=0.3).start()
{body}
"""


def run(lag: int, waiting: bool, body: str) -> subprocess.CompletedProcess[str]:
    code = STANDS_STILL.format(lag=lag, waiting=waiting, body=body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=25)


def test_a_stalled_process_is_ended_with_a_dump_of_its_stacks() -> None:
    ended = run(3, waiting=False, body="stuck()")
    assert ended.returncode == Stalled.exit_code == 75
    line = json.loads(ended.stderr)
    assert line["event"] == "Stalled"
    assert line["level"] == "critical"
    assert "while 3 records are waiting" in line["problem"]
    assert "in stuck" in line["threads"]


def test_it_is_ended_even_if_logging_hangs() -> None:
    body = "import logging; logging.getLogger().handlers[0].acquire(); stuck()"
    assert run(3, waiting=False, body=body).returncode == 75


def test_it_is_ended_even_if_the_disk_is_full() -> None:
    body = "import tempfile; tempfile.TemporaryFile = lambda: (_ for _ in ()).throw(OSError(28, 'disk full')); stuck()"
    assert run(3, waiting=False, body=body).returncode == 75


@pytest.mark.parametrize(("lag", "waiting"), [(0, False), (3, True)])
def test_an_idle_or_waiting_process_is_not_ended(lag: int, waiting: bool) -> None:
    assert run(lag, waiting, body="time.sleep(1)").returncode == 0


def test_a_process_with_progress_is_not_ended_until_it_stalls() -> None:
    positions = iter(range(8))
    ended: list[Stalled] = []
    done = threading.Event()
    looks = 0

    def progress() -> Progress:
        nonlocal looks
        looks += 1
        return Progress(next(positions, "the end"), lag=1)

    def end(stalled: Stalled) -> None:
        ended.append(stalled)
        done.set()

    watchdog = Watchdog(progress, after=0.2, end=end)
    watchdog.start()
    assert done.wait(10)
    watchdog.stop()
    assert len(ended) == 1
    assert looks > 8
    assert "0 s while 1 records" in str(ended[0])


def test_a_stopped_watchdog_ends_nothing() -> None:
    ended: list[Stalled] = []
    watchdog = Watchdog(lambda: Progress(7, lag=None), after=0.1, end=ended.append)
    watchdog.start()
    watchdog.stop()
    assert not threading.Event().wait(0.3)
    assert ended == []


def test_the_dump_names_this_thread() -> None:
    assert "test_the_dump_names_this_thread" in thread_dump()

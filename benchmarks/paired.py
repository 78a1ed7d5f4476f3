"""CPU time of this checkout against that of another one, in turns.

    python -m benchmarks.paired worker /path/to/other/checkout
    python -m benchmarks.paired replay /path/to/other/checkout

`replay` is a whole replay per event, `worker` a worker process per record, on servers of its own. Both checkouts use
the same log, each with its own code and environment. CPU time counts, because wall time depends on other load. The
interval of the ratio is by Student's t over the rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final, cast

import typer
from scipy import stats

from benchmarks.simulated_logs import browsing_heavy, simulated
from tests.harness.servers import KafkaServer, RedisServer

_HERE: Final = Path(__file__).resolve().parents[1]
_SIDE: Final = Path(__file__).with_name("paired_side.py")
_THREADS: Final = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class What(StrEnum):
    """What is measured."""

    REPLAY = "replay"
    WORKER = "worker"


class Side:
    """A process with the code of a checkout that measures on request.

    Args:
        checkout: folder of the checkout; its `.venv` is used if it has one.
        arguments: arguments for `paired_side.py`.
    """

    def __init__(self, checkout: Path, *arguments: str) -> None:
        own = checkout / ".venv" / "bin" / "python"
        command = [str(own) if own.exists() else sys.executable, "-P", str(_SIDE), *arguments]
        environ = {**os.environ, **_THREADS, "PYTHONPATH": str(checkout)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=checkout, env=environ, stdin=pipe, stdout=pipe, text=True)
        self.version = self._read_line()

    def measure(self) -> float:
        """Return the CPU time per event or record, µs."""
        self._requests.write("measure\n")
        self._requests.flush()
        return float(self._read_line())

    def close(self) -> None:
        """End the process."""
        self._requests.close()
        self._process.wait(60)

    @property
    def _requests(self) -> IO[str]:
        return cast("IO[str]", self._process.stdin)

    def _read_line(self) -> str:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise RuntimeError("the process of a checkout has ended: see its error above")
        return str(json.loads(line))


def main(
    what: Annotated[What, typer.Argument(help="A whole replay, or a worker process.")],
    checkout: Annotated[Path, typer.Argument(help="Folder of the other checkout, such as a worktree of a release.")],
    rounds: Annotated[int, typer.Option(min=2, help="Rounds after a first one that does not count.")] = 7,
    customers: Annotated[int, typer.Option(help="Customers of the browsing-heavy shop.")] = 800,
    events: Annotated[int, typer.Option(help="Maximum number of events for a worker.")] = 250_000,
) -> None:
    """Measure both checkouts in turns, and print the ratio of their throughput by CPU time."""
    log = simulated(_HERE / "build" / "benchmarks", "paired", browsing_heavy(customers))
    with ExitStack() as closing:
        sides = []
        for folder in (checkout.resolve(), _HERE):
            arguments = [what.value, str(log), str(events)]
            if what is What.WORKER:
                kafka, redis = closing.enter_context(KafkaServer()), closing.enter_context(RedisServer())
                arguments += [kafka.bootstrap, redis.url]
            sides.append(Side(folder, *arguments))
            closing.callback(sides[-1].close)
        for side in sides:
            side.measure()
        ratios = []
        for number in range(rounds):
            micros = {side: side.measure() for side in (sides if number % 2 == 0 else sides[::-1])}
            there, here = (micros[side] for side in sides)
            ratios.append(there / here)
            print(f"{number + 1}/{rounds}  there ({sides[0].version}): {there:.2f} µs", end="  ")
            print(f"here ({sides[1].version}): {here:.2f} µs  ratio {ratios[-1]:.3f}", flush=True)
    mean, (low, high) = statistics.mean(ratios), stats.ttest_1samp(ratios, 1.0).confidence_interval()
    print(f"{what.value}: throughput by CPU time, here / there: {mean:.3f} (95 %: {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    typer.run(main)

"""One worker of this checkout against one of another checkout, in turns: `python -m benchmarks.paired CHECKOUT`.

Both work through the same log on servers of their own. What counts is the CPU time of the worker for a record: on a
machine that does other things too, the wall says little.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Final, cast

import typer

from benchmarks import simulated_logs as logs
from benchmarks.live.feed import Taught, feed
from benchmarks.live.throughput import worker_run
from tests.harness.processes import LiveSystem

PARTITIONS: Final = 4
SETTINGS: Final = {"worker.publish_scores": "true"}
T_95: Final = {2: 12.706, 3: 4.303, 5: 2.776, 7: 2.447, 10: 2.262}  # Student's t by number of rounds, 95 % two-sided
_HERE: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval, by Student's t over independent rounds.

    >>> Interval.of([1.0, 1.1, 0.9])
    Interval(mean=1.0, low=0.752, high=1.248)
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: list[float]) -> Interval:
        """Return the interval of some ratios; their number must be in T_95."""
        mean = statistics.mean(ratios)
        half = T_95[len(ratios)] * statistics.stdev(ratios) / len(ratios) ** 0.5
        return cls(round(mean, 3), round(mean - half, 3), round(mean + half, 3))


class Side:
    """A checkout whose worker is run on demand, in a process with that checkout's own code.

    Args:
        checkout: its folder.
        log: in the wire format.
        events: number of events that are fed, at most.
    """

    def __init__(self, checkout: Path, log: Path, events: int) -> None:
        command = [sys.executable, "-P", __file__, "--serve", str(log), str(events)]
        environ = os.environ | {"PYTHONPATH": str(checkout)}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=checkout, env=environ, stdin=pipe, stdout=pipe, text=True)
        self.version = self._answer()

    def run(self) -> float:
        """Return the CPU time of a worker for a record, microseconds."""
        self._say("run")
        return float(self._answer())

    def close(self) -> None:
        """End the process and its servers."""
        self._say("end")
        self._process.wait(60)

    def _say(self, word: str) -> None:
        stream = cast("IO[str]", self._process.stdin)
        stream.write(f"{word}\n")
        stream.flush()

    def _answer(self) -> str:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise RuntimeError("the other side has ended: see its error above")
        return str(json.loads(line))


def serve(log: Path, events: int) -> None:
    """Feed a system of this code, and run a worker whenever standard input asks for it."""
    import stream_app  # noqa: PLC0415 - of the checkout that PYTHONPATH names

    taught = Taught.by(log)
    with LiveSystem({"kafka.partitions": str(PARTITIONS)}) as live:
        live.run("topics", "create")
        fed = feed(live.config, log, events)
        print(json.dumps(stream_app.__version__), flush=True)
        for number, word in enumerate(sys.stdin):
            if word.strip() == "end":
                return
            course = worker_run(live, fed, taught, f"paired-{number}", SETTINGS)
            print(json.dumps(course.cpu_micros), flush=True)


def paired(
    checkout: Annotated[Path, typer.Argument(help="Folder of the other checkout, such as a worktree of a release.")],
    rounds: Annotated[int, typer.Option(help=f"Rounds after a first one that does not count: {list(T_95)}.")] = 7,
    customers: Annotated[int, typer.Option(help="Customers of the browsing-heavy shop.")] = 800,
    events: Annotated[int, typer.Option(help="Events at most.")] = 250_000,
) -> None:
    """Run both workers in turns and print the ratio of their throughput by CPU time."""
    if rounds not in T_95:
        raise typer.BadParameter(f"give one of {', '.join(map(str, T_95))}", param_hint="--rounds")
    log = logs.simulated(_HERE / "build" / "benchmarks", "paired", logs.browsing_heavy(customers), lambda _: None)
    sides = [Side(checkout.resolve(), log, events), Side(_HERE, log, events)]
    for side in sides:
        side.run()
    ratios = []
    for number in range(rounds):
        order = sides if number % 2 == 0 else sides[::-1]
        micros = {side: side.run() for side in order}
        old, new = (micros[side] for side in sides)
        ratios.append(old / new)
        print(f"{number + 1}/{rounds}  {sides[0].version}: {old:.1f} µs  {sides[1].version}: {new:.1f} µs", flush=True)
    for side in sides:
        side.close()
    found = Interval.of(ratios)
    print(f"records a CPU second, here against there: {found.mean} (95 %: {found.low} to {found.high})")


if __name__ == "__main__":
    for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_variable, "1")
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        typer.run(paired)

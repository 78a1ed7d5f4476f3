"""The order of the measurements, what is shown meanwhile, and where the results go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import simulated_logs as logs
from benchmarks.page import document
from benchmarks.live.document import joined, live_document
from benchmarks.live.results import LiveReport
from benchmarks.live.run import LIVE_FULL, LIVE_QUICK, LiveBench
from benchmarks.machine import load_average, machine
from benchmarks.replay import growth
from benchmarks.replay.whole_replay import CDNOW, DAILY, SHORT, WEEKLY, replay
from benchmarks.replay.shop_sizes import flatness
from benchmarks.replay.against_floor import ManyDecisions, decisions_against_floor, events_against_floor
from benchmarks.results import Against, Flatness, Growth, Part, Report
from benchmarks.profiler import profile
from stream_app.simulate import ShopSettings

_ROOT: Final = Path(__file__).parent.parent
_CDNOW_FILE: Final = "CDNOW_master.txt.gz"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: tuple[int, ...]  # customers
    rounds: int
    decision_rounds: int
    browsing_customers: int
    growth_customers: int
    recorded: bool  # whether CDNOW is used where it is at hand


FULL: Final = Plan((10_000, 100_000, 1_000_000), 3, 2, 2_000, 5_000, recorded=True)
QUICK: Final = Plan((1_000, 10_000), 2, 1, 300, 500, recorded=False)


class Bench:
    """One run of all benchmarks.

    Args:
        plan: how much is measured.
        folder: where the simulated logs are kept.
        data: the folder of recorded logs; need not exist.
        progress: where it is shown how far this has come.
    """

    def __init__(self, plan: Plan, folder: Path, data: Path, progress: Progress) -> None:
        self._plan, self._folder, self._data, self._progress = plan, folder, data, progress

    def run(self, *, quick: bool) -> Report:
        """Measure everything."""
        started, load = time.perf_counter(), load_average()
        browsing = self._log("browsing-heavy", logs.browsing_heavy(self._plan.browsing_customers))
        against = [self._events(browsing), self._decisions(browsing)]
        return Report(
            machine=machine(),
            load_before=load,
            against=against,
            parts=self._parts(browsing),
            growth=self._growth(),
            flatness=self._flatness(),
            load_after=load_average(),
            seconds=time.perf_counter() - started,
            quick=quick,
        )

    def _events(self, browsing: Path) -> Against:
        step = self._step("Events against the floor", self._plan.rounds)
        return events_against_floor(browsing, WEEKLY, self._plan.rounds, lambda _: step())

    def _decisions(self, browsing: Path) -> Against:
        log = self._many_decisions()
        step = self._step(f"Decisions against the floor: {log.name}", self._plan.decision_rounds)
        return decisions_against_floor(log, browsing, self._plan.decision_rounds, lambda _: step())

    def _many_decisions(self) -> ManyDecisions:
        recorded = self._data / _CDNOW_FILE
        if self._plan.recorded and recorded.exists():
            return ManyDecisions("CDNOW", recorded, "cdnow", CDNOW)
        simulated = self._log("orders", logs.orders_only(self._plan.browsing_customers))
        return ManyDecisions("simulated orders", simulated, "jsonl", DAILY)

    def _parts(self, browsing: Path) -> dict[str, list[Part]]:
        step = self._step("Where the time goes", 2)
        parts = {}
        scale = self._log("scale", logs.scale(self._plan.sizes[min(1, len(self._plan.sizes) - 1)] // 2))
        for name, log, settings in [("browsing-heavy", browsing, WEEKLY), ("ten events a customer", scale, SHORT)]:
            parts[name] = profile(lambda log=log, settings=settings: replay(log, settings).events)  # type: ignore[misc]
            step()
        return parts

    def _growth(self) -> list[Growth]:
        customers = self._plan.growth_customers
        visits = {
            f"{sessions:g} × visits, {pages:g} pages": self._log("visits", logs.visits(customers, sessions, pages))
            for sessions, pages in growth.VISITS
        }
        base = next(iter(visits.values()))
        step = self._step("How the time grows", growth.RUNS)
        return [
            *growth.by_events(visits, step),
            *growth.by_decisions(base, step),
            *growth.by_partitions(base, step),
        ]

    def _flatness(self) -> Flatness:
        sizes = {customers: self._log("scale", logs.scale(customers)) for customers in self._plan.sizes}
        step = self._step("Cost by number of customers", self._plan.rounds * len(sizes))
        return flatness(sizes, self._plan.rounds, lambda _: step())

    def _log(self, name: str, settings: ShopSettings) -> Path:
        task = self._progress.add_task(f"Simulating {name}, {settings.customers:,} customers", total=1.0)
        path = logs.simulated(self._folder, name, settings, lambda share: self._progress.update(task, completed=share))
        self._progress.remove_task(task)
        return path

    def _step(self, what: str, steps: int) -> Callable[[], None]:
        task = self._progress.add_task(what, total=steps)
        return lambda: self._progress.advance(task)


class Which(StrEnum):
    """What is measured."""

    ALL = "all"
    REPLAY = "replay"
    LIVE = "live"


def bench(
    which: Annotated[Which, typer.Argument(help="The replay, the live system (needs Kafka and Redis), or all.")] = (
        Which.ALL
    ),
    quick: Annotated[bool, typer.Option(help="Some minutes, small sizes; docs/benchmarks.md stays as it is.")] = False,
    build: Annotated[Path, typer.Option(help="Folder for the simulated logs and the results.")] = _ROOT / "build",
    data: Annotated[Path, typer.Option(help="Folder of the recorded logs.", envvar="CHURN_DATA")] = (
        _ROOT.parent / "shared" / "data"
    ),
) -> None:
    """Measure speed and scale of the replay and of the live system, and write the tables."""
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    replayed: str | None = None
    lived: str | None = None
    with Progress(*columns, console=console) as progress:
        if which is not Which.LIVE:
            report = Bench(QUICK if quick else FULL, build / "benchmarks", data, progress).run(quick=quick)
            replayed = document(report)
            _keep(report, build, "benchmarks", quick=quick)
        if which is not Which.REPLAY:
            live = LiveBench(LIVE_QUICK if quick else LIVE_FULL, build / "benchmarks", progress).run(quick=quick)
            lived = live_document(live)
            _keep(live, build, "benchmarks-live", quick=quick)
    if not quick:
        page = _ROOT / "docs" / "benchmarks.md"
        page.write_text(joined(page.read_text(encoding="utf-8"), replayed, lived), encoding="utf-8")
    console.print(Markdown(joined("", replayed, lived)))


def _keep(report: Report | LiveReport, build: Path, name: str, *, quick: bool) -> None:
    """The figures for programs."""
    build.mkdir(parents=True, exist_ok=True)
    path = build / f"{name}{'-quick' if quick else ''}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))


def main() -> None:
    """The command line."""
    typer.run(bench)

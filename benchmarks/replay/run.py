"""All benchmarks of the replay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.progress import Progress

from benchmarks.bench import Bench
from benchmarks.machine import Conditions
from benchmarks.profiler import profile
from benchmarks.replay import growth
from benchmarks.replay.against_floor import Workload, against_floor
from benchmarks.replay.results import AgainstFloor, Flatness, ReplayReport
from benchmarks.replay.shop_sizes import flatness, order
from benchmarks.replay.whole_replay import CDNOW, DAILY, SHORT, WEEKLY, replay
from benchmarks.results import Part
from benchmarks.simulated_logs import browsing_heavy, orders_only, short

_CDNOW_FILE: Final = "CDNOW_master.txt.gz"


@dataclass(frozen=True)
class Plan:
    """Sizes of a run."""

    sizes: tuple[int, ...]  # customers
    rounds: int
    decision_rounds: int
    browsing_customers: int
    growth_customers: int
    recorded: bool  # whether CDNOW is used where it is available


FULL: Final = Plan((10_000, 100_000, 1_000_000), 3, 2, 2_000, 5_000, recorded=True)
QUICK: Final = Plan((1_000, 10_000), 2, 1, 300, 500, recorded=False)


class ReplayBench(Bench):
    """A run of all benchmarks of the replay.

    Args:
        logs: folder of the simulated logs.
        progress: where progress is shown.
        data: folder of the recorded logs; it need not exist.
        plan: sizes of the run.
    """

    def __init__(self, logs: Path, progress: Progress, data: Path, plan: Plan = FULL) -> None:
        super().__init__(logs, progress)
        self._data, self._plan = data, plan

    def run(self) -> ReplayReport:
        """Run all benchmarks."""
        conditions = Conditions()
        browsing = self._log("browsing-heavy", browsing_heavy(self._plan.browsing_customers))
        report = ReplayReport(
            conditions,
            against_floor=self._against_floor(browsing),
            parts=self._parts(browsing),
            growth=growth.measure(self._progress.track(self._growth_cases(), description="How the time grows")),
            flatness=self._flatness(),
        )
        conditions.end()
        return report

    def _against_floor(self, browsing: Path) -> list[AgainstFloor]:
        events = Workload("browsing-heavy log", browsing, WEEKLY, "events")
        decisions = self._many_decisions()
        return [
            against_floor(work, browsing, self._rounds(f"{work.name} against the floor", rounds))
            for work, rounds in ((events, self._plan.rounds), (decisions, self._plan.decision_rounds))
        ]

    def _many_decisions(self) -> Workload:
        recorded = self._data / _CDNOW_FILE
        if self._plan.recorded and recorded.exists():
            return Workload("CDNOW", recorded, CDNOW, "decisions", "cdnow")
        log = self._log("orders", orders_only(self._plan.browsing_customers))
        return Workload("simulated orders", log, DAILY, "decisions")

    def _parts(self, browsing: Path) -> dict[str, list[Part]]:
        sizes = self._plan.sizes
        ten_events = self._log("short", short(sizes[min(1, len(sizes) - 1)] // 2))
        with self._step("Where the time goes"):
            return {
                "browsing-heavy": profile(lambda: replay(browsing, WEEKLY).events),
                "ten events per customer": profile(lambda: replay(ten_events, SHORT).events),
            }

    def _growth_cases(self) -> list[growth.Case]:
        customers = self._plan.growth_customers
        return growth.cases(
            {
                f"{sessions:g} × visits, {pages:g} pages": self._log("visits", short(customers, sessions, pages))
                for sessions, pages in growth.VISITS
            }
        )

    def _flatness(self) -> Flatness:
        logs = {customers: self._log("short", short(customers)) for customers in self._plan.sizes}
        runs = order(self._plan.sizes, self._plan.rounds)
        return flatness(logs, self._progress.track(runs, description="Cost by number of customers"))

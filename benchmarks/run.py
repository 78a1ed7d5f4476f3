"""Command line of the benchmarks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.live.run import QUICK as LIVE_QUICK, LiveBench
from benchmarks.page import DOCS, joined, rendered
from benchmarks.replay.run import QUICK, ReplayBench

_ROOT: Final = DOCS.parent


class Which(StrEnum):
    """Part of the product to measure."""

    ALL = "all"
    REPLAY = "replay"
    LIVE = "live"


def bench(
    which: Annotated[Which, typer.Argument(help="The replay, the live system (needs Kafka and Redis), or all.")] = (
        Which.ALL
    ),
    quick: Annotated[bool, typer.Option(help="Small sizes, some minutes; docs/benchmarks.md is not written.")] = False,
    build: Annotated[Path, typer.Option(help="Folder for simulated logs and results.")] = _ROOT / "build",
    data: Annotated[Path, typer.Option(help="Folder of the recorded logs.", envvar="CHURN_DATA")] = (
        _ROOT.parent / "shared" / "data"
    ),
) -> None:
    """Measure speed and scale of the replay and of the live system, and write docs/benchmarks.md."""
    parts: dict[Which, str] = {}
    logs, suffix = build / "benchmarks", "-quick" if quick else ""
    with Progress() as progress:
        replay_bench = ReplayBench(logs, progress, data, *([QUICK] if quick else []))
        live_bench = LiveBench(logs, progress, *([LIVE_QUICK] if quick else []))
        for part, measure in ((Which.REPLAY, replay_bench.run), (Which.LIVE, live_bench.run)):
            if which in {part, Which.ALL}:
                report = measure()
                parts[part] = rendered(report)
                results = build / f"benchmarks-{part}{suffix}.json"
                results.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    texts = parts.get(Which.REPLAY), parts.get(Which.LIVE)
    if not quick:
        page = DOCS / "benchmarks.md"
        page.write_text(joined(page.read_text(encoding="utf-8"), *texts), encoding="utf-8")
    Console().print(Markdown(joined("", *texts)))


def main() -> None:
    """Run the command line."""
    typer.run(bench)

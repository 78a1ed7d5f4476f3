"""Draws all dashboards from a running Prometheus or from a simulated shop: `python -m grafana.preview --help`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from grafana.build import FOLDER
from grafana.preview.answers import run_queries
from grafana.preview.prometheus import Prometheus, Range
from grafana.preview.sheet import photograph
from stream_app.demo.simulation import Phase
from tests.harness.processes.watched_shop import WatchedShop

_START_SECONDS = 240.0  # to replay the history on a busy machine
_RULES = sorted((FOLDER.parents[1] / "prometheus" / "rules").glob("*.yml"))


def main(
    url: Annotated[str, typer.Argument(help="URL of Prometheus. Default: start a simulated shop.")] = "",
    minutes: Annotated[float, typer.Option(help="Time range of the trends, or duration of the simulated shop.")] = 2.5,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("build/dashboards"),
    only: Annotated[str, typer.Option(help="Part of the path of the dashboards to draw, such as en/service.")] = "",
) -> None:
    """Run all queries of all dashboards, write a picture of each, and list the queries without results."""
    out.mkdir(parents=True, exist_ok=True)
    if url:
        draw(Prometheus(url), time.time() - minutes * 60, out, only)
        return
    with WatchedShop(_RULES) as shop:
        started = time.time()
        shop.wait("the history has been replayed", lambda: shop.shop.phase is Phase.LIVE, _START_SECONDS)
        time.sleep(minutes * 60)
        draw(Prometheus(shop.prometheus.url), started, out, only)


def draw(prometheus: Prometheus, since: float, out: Path, only: str) -> None:
    """Write the pictures of the dashboards whose path contains `only`."""
    over = Range(since, time.time())
    for path in sorted(FOLDER.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        if only not in name:
            continue
        board = run_queries(json.loads(path.read_text(encoding="utf-8")), prometheus, over)
        photograph(board, out / f"dashboards-{path.stem}-{path.parent.name}.png")
        empty = [f"  empty: {one.panel['title']}: {expr}" for one in board.panels for expr in one.empty]
        sys.stdout.write("\n".join([f"{name}: {len(board.panels)} panels", *empty]) + "\n")


if __name__ == "__main__":
    typer.run(main)

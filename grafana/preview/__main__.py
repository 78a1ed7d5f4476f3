"""Draws all dashboards, from a Prometheus that runs or from a shop of its own: python -m grafana.preview --help."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from grafana.build import FOLDER
from grafana.preview.answers import ask
from grafana.preview.prometheus import Prometheus, Range
from grafana.preview.sheet import photograph
from stream_app.demo.simulation import Phase
from tests.harness.processes.watched_shop import WatchedShop

_START_SECONDS = 240.0  # for a history to be played, on a busy machine
_RULES = sorted((FOLDER.parents[1] / "prometheus" / "rules").glob("*.yml"))


def main(
    url: Annotated[
        str, typer.Argument(help="Of Prometheus. Without one: of a living shop that is started for it.")
    ] = "",
    minutes: Annotated[float, typer.Option(help="How far back the trends go, or how long the shop lives.")] = 2.5,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("build/dashboards"),
    only: Annotated[str, typer.Option(help="A part of the file's path, such as en/service.")] = "",
) -> None:
    """Ask every query of every dashboard, and write its picture; says which queries found nothing."""
    out.mkdir(parents=True, exist_ok=True)
    if url:
        draw(Prometheus(url), time.time() - minutes * 60, out, only)
        return
    with WatchedShop(_RULES) as shop:
        started = time.time()
        shop.wait("the history has been played", lambda: shop.shop.phase is Phase.LIVING, _START_SECONDS)
        time.sleep(minutes * 60)
        draw(Prometheus(shop.prometheus.url), started, out, only)


def draw(prometheus: Prometheus, since: float, out: Path, only: str) -> None:
    """Write the pictures of the dashboards whose path has `only` in it."""
    over = Range(since, time.time())
    for path in sorted(FOLDER.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        if only not in name:
            continue
        board = ask(json.loads(path.read_text(encoding="utf-8")), prometheus, over)
        photograph(board, out / f"dashboards-{path.stem}-{path.parent.name}.png")
        empty = [f"  nothing: {one.panel['title']}: {expr}" for one in board.panels for expr in one.empty]
        sys.stdout.write("\n".join([f"{name}: {len(board.panels)} panels", *empty]) + "\n")


if __name__ == "__main__":
    typer.run(main)

"""Draws all dashboards from a running Prometheus: python -m grafana.preview URL."""

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


def main(
    url: Annotated[str, typer.Argument(help="Of Prometheus.")],
    minutes: Annotated[float, typer.Option(help="How far back the trends go.")] = 15.0,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("build/dashboards"),
    only: Annotated[str, typer.Option(help="A part of the file's path, such as en/service.")] = "",
) -> None:
    """Ask every query of every dashboard, and write its picture; says which queries found nothing."""
    out.mkdir(parents=True, exist_ok=True)
    now = time.time()
    for path in sorted(FOLDER.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        if only not in name:
            continue
        board = ask(json.loads(path.read_text(encoding="utf-8")), Prometheus(url), Range(now - minutes * 60, now))
        photograph(board, out / f"dashboards-{path.stem}-{path.parent.name}.png")
        empty = [f"{one.panel['title']}: {expr}" for one in board.panels for expr in one.empty]
        sys.stdout.write(
            "\n".join([f"{name}: {len(board.panels)} panels", *(f"  nothing: {one}" for one in empty)]) + "\n"
        )


if __name__ == "__main__":
    typer.run(main)

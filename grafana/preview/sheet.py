"""A dashboard as an HTML page and as a picture."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana.preview.answers import Board
from grafana.preview.chromium import chromium
from grafana.preview.drawing import drawn

WIDTH: Final = 1480
_GAP, _ROW, _HEAD = 8, 30, 26  # pixels: between panels, of a row of the grid, of a panel's title
_TOP: Final = 102  # above the grid
_STYLE: Final = """
body { margin: 0; background: #f4f5f5; font: 12px Inter, Helvetica, "Noto Sans CJK SC", sans-serif; color: #24292e; }
h1 { font-size: 20px; margin: 14px 16px 2px; }
header p { margin: 0 16px; color: #6a7078; }
nav { position: absolute; right: 16px; top: 18px; }
nav span, .choice { border: 1px solid #d0d3d8; background: #fff; padding: 4px 9px; margin-left: 6px; }
.choices { margin: 10px; }
.choice b { color: #6a7078; font-weight: 500; padding-right: 8px; }
.panel { position: absolute; background: #fff; border: 1px solid #e1e3e6; border-radius: 2px; overflow: hidden; }
.panel h2 { font-size: 13px; font-weight: 500; margin: 6px 9px 4px; height: 16px; white-space: nowrap; }
.row { position: absolute; left: 10px; font-size: 15px; font-weight: 500; }
svg { display: block; }
.nothing { color: #6a7078; text-align: center; padding-top: 24px; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; color: #1f60c4; font-weight: 500; }
th, td { padding: 5px 9px; border-bottom: 1px solid #eceef0; }
"""


def page(board: Board) -> tuple[str, int]:
    """Return the HTML of a dashboard and its height in pixels."""
    made = board.dashboard
    links = "".join(f"<span>{html.escape(one['title'])}</span>" for one in made["links"])
    variables = [(one["label"], one.get("current", {}).get("text", "Prometheus")) for one in made["templating"]["list"]]
    choices = "".join(
        f'<span class="choice"><b>{html.escape(label)}</b>{html.escape(text)}</span>' for label, text in variables
    )
    answers = {one.panel["id"]: one for one in board.panels}
    parts, bottom = [], 0
    for panel in made["panels"]:
        left, top, width, height = _box(panel["gridPos"])
        bottom = max(bottom, top + height)
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="top:{top + 6}px">⌄ {html.escape(panel["title"])}</div>')
            continue
        inside = drawn(answers[panel["id"]], board.over, width, height - _HEAD - 6)
        where = f"left:{left}px;top:{top}px;width:{width}px;height:{height}px"
        parts.append(f'<div class="panel" style="{where}"><h2>{html.escape(panel["title"])}</h2>{inside}</div>')
    head = f"<header><h1>{html.escape(made['title'])}</h1><p>{html.escape(made['description'])}</p></header>"
    body = f'{head}<nav>{links}</nav><div class="choices">{choices}</div>{"".join(parts)}'
    return f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style>{body}', bottom + 12


def photograph(board: Board, to: Path) -> None:
    """Write a dashboard as PNG. Raise FileNotFoundError if Chromium is not installed."""
    text, height = page(board)
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        source = Path(folder) / "board.html"
        source.write_text(text, encoding="utf-8")
        chromium(f"--window-size={WIDTH},{height}", f"--screenshot={to.resolve()}", source.as_uri())


def _box(place: Mapping[str, int]) -> tuple[int, int, int, int]:
    column = (WIDTH - _GAP) / 24
    left = _GAP + place["x"] * column
    return (
        round(left),
        _TOP + place["y"] * (_ROW + _GAP),
        round(place["w"] * column) - _GAP,
        place["h"] * (_ROW + _GAP) - _GAP,
    )

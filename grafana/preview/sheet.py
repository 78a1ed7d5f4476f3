"""A whole dashboard as an HTML page, and its picture."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2
from markupsafe import Markup

from grafana.preview.answers import Board
from grafana.preview.chromium import chromium
from grafana.preview.drawing import drawn

WIDTH: Final = 1480
_GAP, _ROW, _HEAD = 8, 30, 26  # pixels: between panels, of a row of the grid, of a panel's title
_TOP: Final = 102  # above the grid
_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
)


class Box(NamedTuple):
    """Place and size of a panel, pixels."""

    left: int
    top: int
    width: int
    height: int


def page(board: Board) -> tuple[str, int]:
    """Return the HTML of a board, and its height in pixels."""
    answers = {one.panel["id"]: one for one in board.panels}

    def inside(panel: Mapping[str, Any], box: Box) -> Markup:
        return Markup(drawn(answers[panel["id"]], board.over, box.width, box.height - _HEAD - 6))  # noqa: S704 - escaped

    panels = [(panel, _box(panel["gridPos"])) for panel in board.dashboard["panels"]]
    text = _TEMPLATES.get_template("board.html.j2").render(dashboard=board.dashboard, panels=panels, drawn=inside)
    return text, max(box.top + box.height for _, box in panels) + 12


def photograph(board: Board, to: Path) -> None:
    """Write a board's picture as PNG. Raise FileNotFoundError without Chromium."""
    text, height = page(board)
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        source = Path(folder) / "board.html"
        source.write_text(text, encoding="utf-8")
        chromium(f"--window-size={WIDTH},{height}", f"--screenshot={to.resolve()}", source.as_uri())


def _box(place: Mapping[str, int]) -> Box:
    column = (WIDTH - _GAP) / 24
    top, height = _TOP + place["y"] * (_ROW + _GAP), place["h"] * (_ROW + _GAP) - _GAP
    return Box(round(_GAP + place["x"] * column), top, round(place["w"] * column) - _GAP, height)

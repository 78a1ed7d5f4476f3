"""The frame of a trend: coordinates, axes and lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from markupsafe import escape

from grafana.preview.prometheus import Range
from grafana.preview.units import written

LEFT, RIGHT, TOP, BOTTOM = 62, 10, 8, 20  # around the lines, pixels
_TIMES: Final = (0.1, 0.3, 0.5, 0.7, 0.9)  # positions of times of day, as shares of the width

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """A picture over a range of time and of values; sizes are pixels."""

    over: Range
    width: float
    height: float
    low: float = 0.0
    high: float = 1.0
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM

    def x(self, at: float) -> float:
        """Return the coordinate of a moment."""
        share = (at - self.over.start) / (self.over.end - self.over.start)
        return self.left + share * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Return the coordinate of a value."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.top + (1 - share) * (self.height - self.top - self.bottom)

    def path(self, points: Points, *, steps: bool = False) -> str:
        """Return a line through points, interrupted where there is no number."""
        path, pen, before = [], "M", 0.0
        for at, value in points:
            if not math.isfinite(value):
                pen = "M"
                continue
            x, y = self.x(at), self.y(value)
            if steps and pen == "L":
                path.append(f"L{x:.1f},{before:.1f}")
            path.append(f"{pen}{x:.1f},{y:.1f}")
            pen, before = "L", y
        return "".join(path)

    def area(self, points: Points) -> str:
        """Return the area below a line."""
        known = [(at, value) for at, value in points if math.isfinite(value)]
        if not known:
            return ""
        floor = self.y(self.low)
        return f"{self.path(known)}L{self.x(known[-1][0]):.1f},{floor:.1f}L{self.x(known[0][0]):.1f},{floor:.1f}Z"

    def axes(self, unit: str) -> str:
        """Return lines at round values, with their numbers, and times of day."""
        found = []
        for value in ticks(self.low, self.high, 1024 if unit == "bytes" else 10):
            found.append(self.across(value, "#eceef0"))
            found.append(label(self.left - 6, self.y(value) + 4, written(value, unit), "end"))
        return "".join(found) + self.times()

    def times(self) -> str:
        """Return the times of day below the plot."""
        found = []
        for share in _TIMES:
            at = self.over.start + share * (self.over.end - self.over.start)
            found.append(label(self.x(at), self.height - 5, f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}", "middle"))
        return "".join(found)

    def across(self, value: float, colour: str, dashes: str = "none") -> str:
        """Return a horizontal line at a value."""
        y = f"{self.y(value):.1f}"
        ends = f'x1="{self.left}" x2="{self.width - self.right}" y1="{y}" y2="{y}"'
        return f'<line {ends} stroke="{colour}" stroke-dasharray="{dashes}"/>'


def ticks(low: float, high: float, base: int) -> Iterator[float]:
    """Yield about four round values from low to high.

    >>> list(ticks(0, 90, 10))
    [0.0, 25.0, 50.0, 75.0]
    """
    rough = (high - low) / 4
    size = float(base) ** math.floor(math.log(rough, base) + 1e-9)
    factors = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024) if base == 1024 else (1, 2, 2.5, 5, 10)
    step = next(size * factor for factor in factors if size * factor >= rough)
    place = math.ceil(low / step - 1e-9)
    while place * step <= high * (1 + 1e-9):
        yield place * step
        place += 1


def label(x: float, y: float, text: str, anchor: str, colour: str = "#6a7078") -> str:
    """Return a small text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'

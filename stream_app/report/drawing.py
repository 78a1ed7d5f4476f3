"""Renders Altair charts as small static SVGs in two widths, with the page's font and light and dark colours.

The colours in a chart are placeholders that style.css maps to real colours, so that one SVG suits light and dark mode.
Marks with a description become hover targets (`data-tip`, with lines separated by `¦`).
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import vl_convert

# Placeholder colours by purpose; style.css has the same list.
INK: Final = "#010101"  # important text
MUTED: Final = "#020202"  # axis labels
GRID: Final = "#030303"
ACCENT: Final = "#040404"  # stream-app
SECOND: Final = "#050505"  # the baseline
FAINT: Final = "#060606"  # other lines
SHADE: Final = "#070707"  # warm-up
SERIES: Final = ("#0a0a00", "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05", "#0a0a06", "#0a0a07")

FULL: Final = 860  # pixels of a full-width chart
HALF: Final = 420
NARROW: Final = 340  # pixels of a chart on a phone

Values = list[dict[str, Any]]
Plot = alt.Chart | alt.LayerChart | alt.FacetChart  # return types of Altair's methods
Draw = Callable[[int], Plot]


@dataclass(frozen=True)
class Picture:
    """A chart to embed in the page."""

    title: str
    alt: str
    wide: str  # SVG
    narrow: str  # SVG
    half: bool = False


def picture(title: str, description: str, draw: Draw, *, half: bool = False) -> Picture:
    """Draw a chart in both widths. `draw` receives the width in pixels."""
    wide = svg(draw(HALF if half else FULL), description)
    return Picture(title, description, wide, svg(draw(NARROW), description), half)


def data(values: Values) -> alt.InlineData:
    """Return plain dictionaries as inline data, which avoids a dependency on pandas."""
    return alt.InlineData(values=values)


def svg(chart: Plot, description: str) -> str:
    """Render a chart as an SVG element."""
    return clean_svg(vl_convert.vegalite_to_svg(with_style(chart).to_dict()), description)


def with_style(chart: Plot) -> Plot:
    """Apply the page's style to a chart: no frame, a light horizontal grid, and the width of the picture."""
    chart = chart.properties(autosize=alt.AutoSizeParams(type="fit", contains="padding"), padding=2)
    return (
        chart.configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=MUTED,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
            gridColor=GRID,
            domain=False,
            ticks=False,
            labelPadding=6,
        )
        .configure_axisX(grid=False, labelFlush=False)
    )


_SIZE = re.compile(r'^<svg [^>]*width="([\d.]+)" height="([\d.]+)" viewBox="([^"]+)">')
_TIP = re.compile(r' aria-label="([^"]*)" role="graphics-symbol"')
_REDUNDANT = re.compile(
    r' (?:role|aria-\w+|font-family|stroke-miterlimit|pointer-events|class)="[^"]*"| opacity="1"| display="none"'
)
_EMPTY = re.compile(r'<path d=""/>|<path d="M0,0h[\d.]+v[\d.]+h-?[\d.]+Z"/>')
_POSITION = re.compile(r' (?:d|transform|x|y|x2|y2|width|height)="[^"]*"')


def clean_svg(text: str, description: str) -> str:
    """Prepare an SVG from Vega for the page: make it scalable, with unique ids, a description and hover texts."""
    size = _SIZE.match(text)
    if size is None:
        raise ValueError(f"not an SVG of Vega: {text[:80]!r}")
    body = _TIP.sub(r' data-tip="\1"', text[size.end() :])
    body = _EMPTY.sub("", _REDUNDANT.sub("", body))
    body = _POSITION.sub(lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), body)
    body = with_unique_ids(body)
    width, _, box = size.groups()
    label = html.escape(description, quote=True)
    return f'<svg viewBox="{box}" style="max-width:{width}px" role="img" aria-label="{label}">{body}'


_CLIP = re.compile(r'( clip-path="url\(#|<clipPath id=")(clip\d+)')


def with_unique_ids(body: str) -> str:
    """Make an SVG's clip ids depend only on the chart, since Vega numbers them across all charts of a process.

    >>> body = '<g clip-path="url(#clip7)"/><clipPath id="clip7"/>'
    >>> with_unique_ids(body) == with_unique_ids(body.replace("7", "8"))
    True
    """
    numbers = {clip: str(i) for i, clip in enumerate(dict.fromkeys(clip for _, clip in _CLIP.findall(body)))}
    plain = _CLIP.sub(lambda found: found[1] + numbers[found[2]], body)
    key = hashlib.blake2b(plain.encode(), digest_size=4).hexdigest()
    return _CLIP.sub(lambda found: f"{found[1]}c{key}-{numbers[found[2]]}", body)

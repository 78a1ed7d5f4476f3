"""Altair charts as small static SVG that follows the page: its colours (light and dark), its font, two widths.

Colours in the specification are markers that no design would use; style.css gives each its real colour, so that one
SVG serves the light and the dark page. Marks that carry a description become hover targets (`data-tip`, lines divided
by `¦`).
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

# Markers, named after what they colour; style.css holds the same list.
INK: Final = "#010101"  # text that matters
MUTED: Final = "#020202"  # axis labels
GRID: Final = "#030303"
ACCENT: Final = "#040404"  # the product
SECOND: Final = "#050505"  # what it is compared with
FAINT: Final = "#060606"  # everything else
SHADE: Final = "#070707"  # areas that do not count
PAPER: Final = "#080808"
SERIES: Final = ("#0a0a00", "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05", "#0a0a06", "#0a0a07")

FULL: Final = 860  # pixels of a chart over the whole column
HALF: Final = 420
NARROW: Final = 340  # on a phone

Values = list[dict[str, Any]]
Plot = alt.Chart | alt.LayerChart | alt.FacetChart  # what Altair's methods say they return
Draw = Callable[[int], Plot]


@dataclass(frozen=True)
class Picture:
    """A chart as the page shows it."""

    title: str
    alt: str
    wide: str  # SVG
    narrow: str  # SVG
    half: bool = False


def picture(title: str, description: str, draw: Draw, *, half: bool = False) -> Picture:
    """Draw a chart in both widths; `draw` gets the width of the plot's frame in pixels."""
    wide = svg(draw(HALF if half else FULL), description)
    return Picture(title, description, wide, svg(draw(NARROW), description), half)


def data(values: Values) -> alt.InlineData:
    """Inline data; plain dictionaries, so that pandas is not needed."""
    return alt.InlineData(values=values)


def svg(chart: Plot, description: str) -> str:
    """A chart as an SVG element for a page."""
    return polished(vl_convert.vegalite_to_svg(styled(chart).to_dict()), description)


def styled(chart: Plot) -> Plot:
    """A chart in the house style: no frame, a light horizontal grid, quiet axes; its width is that of the picture."""
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
_NEEDLESS = re.compile(
    r' (?:role|aria-\w+|font-family|stroke-miterlimit|pointer-events|class)="[^"]*"| opacity="1"| display="none"'
)
_EMPTY = re.compile(r'<path d=""/>|<path d="M0,0h[\d.]+v[\d.]+h-?[\d.]+Z"/>')
_PLACE = re.compile(r' (?:d|transform|x|y|x2|y2|width|height)="[^"]*"')


def polished(text: str, description: str) -> str:
    """What Vega wrote, made fit for a page: scalable, unique ids, one description, hover tips, nothing needless."""
    size = _SIZE.match(text)
    if size is None:
        raise ValueError(f"not the SVG that Vega writes: {text[:80]!r}")
    body = _TIP.sub(r' data-tip="\1"', text[size.end() :])
    body = _EMPTY.sub("", _NEEDLESS.sub("", body))
    body = _PLACE.sub(lambda place: re.sub(r"(\.\d)\d+", r"\1", place[0]), body)
    body = with_ids_of_its_own(body)
    width, _, box = size.groups()
    label = html.escape(description, quote=True)
    return f'<svg viewBox="{box}" style="max-width:{width}px" role="img" aria-label="{label}">{body}'


_CLIP = re.compile(r'( clip-path="url\(#|<clipPath id=")(clip\d+)')


def with_ids_of_its_own(body: str) -> str:
    """The clips numbered from 0 and named after the chart: Vega counts on over all charts of a process.

    >>> body = '<g clip-path="url(#clip7)"/><clipPath id="clip7"/>'
    >>> with_ids_of_its_own(body) == with_ids_of_its_own(body.replace("7", "8"))
    True
    """
    numbers = {clip: str(i) for i, clip in enumerate(dict.fromkeys(clip for _, clip in _CLIP.findall(body)))}
    plain = _CLIP.sub(lambda found: found[1] + numbers[found[2]], body)
    key = hashlib.blake2b(plain.encode(), digest_size=4).hexdigest()
    return _CLIP.sub(lambda found: f"{found[1]}c{key}-{numbers[found[2]]}", body)

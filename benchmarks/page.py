"""The page docs/benchmarks.md, rendered from docs/templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import jinja2

from benchmarks.live.results import LiveReport
from benchmarks.replay.results import ReplayReport
from benchmarks.results import TARGETS

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
_HEADING: Final = "# The live system"  # at which the second part of the page begins


def rendered(report: ReplayReport | LiveReport) -> str:
    """Return a part of the page as Markdown."""
    environment = jinja2.Environment(  # noqa: S701 - Markdown without input from outside
        loader=jinja2.FileSystemLoader(DOCS / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    name = "live" if isinstance(report, LiveReport) else "replay"
    text = environment.get_template(f"benchmarks-{name}.md.j2").render(report=report, targets=TARGETS)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def joined(page: str, replay: str | None, live: str | None) -> str:
    """Return a page with one or both of its parts replaced.

    >>> page = joined("", "# Benchmarks", "# The live system, measured")
    >>> print(joined(page, None, "# The live system, again"), end="")
    # Benchmarks
    <BLANKLINE>
    # The live system, again
    """
    before, found, after = page.partition(_HEADING)
    kept = (replay or before, live or found + after)
    return "\n\n".join(part.strip("\n") for part in kept if part.strip()) + "\n"

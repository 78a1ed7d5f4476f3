"""The comparison of contact policies as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

import stream_app
from stream_app.i18n import Translator
from stream_app.report import trial
from stream_app.report.charts.trial import share_chart
from stream_app.report.html import asset, environment
from stream_app.report.trial import Comparison


def write_trial(page: Comparison, path: Path, lang: str) -> None:
    """Write the comparison as one self-contained HTML file; its folder must exist."""
    path.write_text(render_trial(page, lang), encoding="utf-8")


def render_trial(page: Comparison, lang: str) -> str:
    """Return the comparison as HTML text, which depends only on the arguments."""
    translator = Translator(lang, "report")
    measures = (True, False) if page.knows_money else (False,)
    return environment().get_template("trial.html.j2").render(
        page=page,
        t=translator,
        trial=trial,
        pictures=[share_chart(page.names, page.shares(of_money=one), translator, of_money=one) for one in measures],
        version=stream_app.__version__,
        style=Markup(asset("style.css")),  # noqa: S704 - our file
        script=Markup(asset("hover.js")),  # noqa: S704 - our file
    )  # fmt: skip

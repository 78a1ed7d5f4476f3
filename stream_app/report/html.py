"""The report as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from stream_app.i18n import Translator
from stream_app.report import ladder, reasons, summary, tables, uplift
from stream_app.report.charts.ensemble import expert_order, weight_chart
from stream_app.report.charts.gain import lead_chart, reach_chart, right_chart
from stream_app.report.charts.quality import calibration_chart, lift_chart, window_chart
from stream_app.report.charts.shop import churn_chart, importance_chart
from stream_app.report.drawing import Picture

Figures = Mapping[str, Any]
Features = Mapping[str, tuple[str, str, str]]  # name -> unit, English meaning, Chinese meaning
MAX_FEATURES: Final = 12
MAX_COHORTS: Final = 24


def write_report(metrics: Figures, path: Path, lang: str, features: Features | None = None) -> None:
    """Write the report as one self-contained HTML file.

    Args:
        metrics: result of `stream_app.replay.evaluation.metrics`, or the content of metrics.json.
        path: file to write; its folder must exist.
        lang: en or zh; any other value raises ValueError.
        features: units and meanings of the features; if omitted, only feature names are shown.
    """
    path.write_text(render(metrics, lang, features), encoding="utf-8")


def render(metrics: Figures, lang: str, features: Features | None = None) -> str:
    """Return the report as HTML text, which depends only on the arguments."""
    translator = Translator(lang, "report", "uplift")
    rows = feature_rows(metrics, translator, features or {})
    return environment().get_template("report.html.j2").render(
        m=metrics,
        t=translator,
        summary=summary,
        tables=tables,
        ladder=ladder,
        reasons=reasons,
        uplift=uplift,
        pictures=pictures(metrics, translator, rows),
        feature_rows=rows,
        silent_features=silent_features(metrics, translator, features or {}),
        weights=weight_legend(metrics, translator),
        cohorts=cohort_rows(metrics),
        style=Markup(asset("style.css")),  # noqa: S704 - our file
        script=Markup(asset("hover.js")),  # noqa: S704 - our file
    )  # fmt: skip


def pictures(m: Figures, translator: Translator, rows: list[dict[str, Any]]) -> dict[str, Picture | None]:
    """Return all charts by name, with None for charts without data."""
    return {
        "reach": reach_chart(m, translator),
        "right": right_chart(m, translator),
        "lead": lead_chart(m, translator),
        "auc": window_chart(m, translator, "auc"),
        "loss": window_chart(m, translator, "log_loss"),
        "calibration": calibration_chart(m, translator),
        "lift": lift_chart(m, translator),
        "churn": churn_chart(m, translator),
        "importance": importance_chart(rows, translator),
        "weights": weight_chart(m, translator),
    }


def feature_rows(m: Figures, translator: Translator, features: Features) -> list[dict[str, Any]]:
    """Return the most important features with their units and meanings."""
    found = []
    for name, weight in list(m["models"]["importances"].items())[:MAX_FEATURES]:
        unit, english, chinese = features.get(name, ("", "", ""))
        meaning = chinese if translator.lang == "zh" else english
        found.append(
            {
                "name": name,
                "label": meaning or name.replace("_", " "),
                "meaning": meaning,
                "unit": unit,
                "weight": weight,
            }
        )
    return [row for row in found if row["weight"]]


def silent_features(m: Figures, translator: Translator, features: Features) -> list[str]:
    """Return the names of features without influence, usually because their fields are missing from the log."""
    names = sorted(name for name, weight in m["models"]["importances"].items() if not weight)
    place = 2 if translator.lang == "zh" else 1
    return [features[name][place] if name in features else name for name in names]


def weight_legend(m: Figures, translator: Translator) -> list[str]:
    """Return the names of the experts in the order of their colours."""
    return [translator.name("expert", name) for name in expert_order(m)] if m["models"]["course"] else []


def cohort_rows(m: Figures) -> list[dict[str, Any]]:
    """Return the latest cohorts. Each cell has a share and its shade; the first month, always 100%, is omitted."""
    c = m["cohorts"]
    most = max((share for cells in c["retention"] for share in cells[1:]), default=0) or 1
    rows = [
        {"month": month, "size": size, "cells": [(share, share / most) for share in cells[1:]]}
        for month, size, cells in zip(c["months"], c["sizes"], c["retention"], strict=True)
    ]
    return [row for row in rows if row["size"]][-MAX_COHORTS:]


@cache
def environment() -> Environment:
    """Return the template environment, in which all values are escaped and unknown names are errors."""
    env = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters["svg"] = Markup  # our own charts; Vega escapes their texts
    return env


def asset(name: str) -> str:
    """Return the text of a file in the layout folder."""
    return resources.files("stream_app.report").joinpath("layout", name).read_text(encoding="utf-8")

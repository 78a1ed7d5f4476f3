"""*Model quality*, for analysts: whether the probabilities are calibrated and better than simple baselines."""

from __future__ import annotations

from typing import Final

from grafana.page import STAT_HEIGHT, Page, Variable
from grafana.panels import BLUE, COUNT, GREEN, ORANGE, PERCENT, RED, Column, Measure, Names, Style
from grafana.queries import Queries

VARIABLES: Final = (Variable("window", "label_values(churn_quality_examples, window)", chosen="28d"),)
SCORERS: Final = Names(
    "scorers",
    {
        "product": "dark-blue",
        "mixture": "light-blue",
        "linear": "green",
        "cells": "dark-green",
        "tree": "purple",
        "prior": "text",
        "recency": "orange",
        "plain": "yellow",
    },
)
_ALL: Final = Queries('window=~"$window"')

NUMBER: Final = Measure("short", BLUE, decimals=3, lowest=None)
# Typical values on a time split are 0.55 to 0.80; 0.5 is chance. Above 0.9, suspect label leakage.
AUC: Final = Measure("short", RED, ((0.55, ORANGE), (0.6, GREEN), (0.9, ORANGE)), decimals=3, lowest=0.4, highest=1.0)
AHEAD: Final = Measure("short", RED, ((0.0, ORANGE), (0.01, GREEN)), decimals=3, lowest=None)
CALIBRATION: Final = Measure("percentunit", GREEN, ((0.05, ORANGE), (0.1, RED)), decimals=1)
LIFT: Final = Measure("short", RED, ((1.0, ORANGE), (1.2, GREEN)), decimals=2)


def page(lang: str) -> Page:
    """Return the page in a language."""
    made = Page("quality", lang, VARIABLES, since="now-7d", refresh="5m")
    for add_section in (_at_a_glance, _beside, _promises, _inside):
        add_section(made)
    return made


def _of(metric: str, scorer: str = "product") -> str:
    of_scorer = _ALL.series(metric, f'scorer="{scorer}"')
    return f"max({of_scorer})"


def _each(metric: str) -> dict[str, str]:
    return {"{{scorer}}": f"max by (scorer) ({_ALL.series(metric)})"}


def _at_a_glance(page: Page) -> None:
    page.number("auc", _of("churn_quality_auc_ratio"), AUC)
    ahead = f"{_of('churn_quality_auc_ratio')} - {_of('churn_quality_auc_ratio', 'recency')}"
    page.number("ahead", ahead, AHEAD)
    page.number("calibration", _of("churn_quality_calibration_error_ratio"), CALIBRATION)
    page.number("lift", _of("churn_quality_lift_ratio"), LIFT)
    page.number("precision", _of("churn_quality_precision_ratio"), PERCENT)
    page.number("examples", f"max({_ALL.series('churn_quality_examples')})", COUNT)


def _beside(page: Page) -> None:
    page.row("beside")
    page.trend(
        "auc_course",
        _each("churn_quality_auc_ratio"),
        Measure("short", BLUE, decimals=3, lowest=None),
        12,
        names=SCORERS,
    )
    page.trend("log_loss", _each("churn_quality_log_loss_nats"), NUMBER, 12, names=SCORERS)
    page.table(
        "scorers",
        [
            Column("scorer", name="scorer", named="scorers"),
            *(
                Column(key, query=f"max by (scorer) ({_ALL.series(metric)})", measure=measure)
                for key, metric, measure in (
                    ("auc", "churn_quality_auc_ratio", NUMBER),
                    ("log_loss", "churn_quality_log_loss_nats", NUMBER),
                    ("brier", "churn_quality_brier_ratio", NUMBER),
                    ("calibration", "churn_quality_calibration_error_ratio", PERCENT),
                    ("lift", "churn_quality_lift_ratio", Measure("short", decimals=2)),
                    ("precision", "churn_quality_precision_ratio", PERCENT),
                )
            ),
        ],
        height=9,
        largest="auc",
    )


def _promises(page: Page) -> None:
    page.row("promises")
    page.columns(
        "tenths",
        "tenth",
        {
            "promised": f"max by (tenth) ({_ALL.series('churn_quality_predicted_ratio')})",
            "measured": f"max by (tenth) ({_ALL.series('churn_quality_observed_ratio')})",
        },
        PERCENT,
        12,
    )
    page.trend(
        "precision_course",
        {
            "precision": _of("churn_quality_precision_ratio"),
            "recency": _of("churn_quality_precision_ratio", "recency"),
            "base": f"max({_ALL.series('churn_quality_base_rate_ratio')})",
        },
        PERCENT,
        12,
    )


def _inside(page: Page) -> None:
    page.row("inside")
    shares = {"{{scorer}}": "max by (scorer) (churn_model_expert_share_ratio)"}
    page.trend("experts", shares, Measure("percentunit", BLUE, highest=1.0), 8, Style.STACKED, SCORERS)
    page.trend("level", {"level": "max(churn_model_level_log_odds)"}, NUMBER)
    page.trend("version", {"version": "max(churn_trainer_model_version)"}, COUNT, style=Style.STEPS)
    page.number("drifts", "max(churn_model_drift_changes)", Measure("short", GREEN, ((1, ORANGE),), decimals=0))
    page.number("steady", "max(churn_model_drift_window_seconds)", Measure("s", BLUE))
    age = Measure("s", GREEN, ((3 * 86_400, ORANGE), (7 * 86_400, RED)))
    page.number("age", "max(churn_model_age_seconds)", age)
    sides = {"{{side}}": "max by (side) (churn_model_drift_log_loss_nats)"}
    page.bars("around", sides, Measure("short", BLUE, decimals=3), 12, STAT_HEIGHT, Names("sides"))

"""What the figures of a holdout experiment say, as tables and sentences for the report and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stream_app.core.uplift.figures import MISMATCH, OTHERS, Effect, FamilyEffect, UpliftFigures
from stream_app.i18n import Translator
from stream_app.report.tables import Table


def experiment(m: Mapping[str, Any]) -> UpliftFigures | None:
    """Return the figures of the experiment in metrics.json, if the replay had one."""
    found = m.get("uplift")
    return None if found is None else msgspec.convert(found, UpliftFigures)


def title(found: UpliftFigures, words: Translator) -> str:
    """Return the name of the experiment with its main settings."""
    share, days = f"{100 * found.share:g}", f"{found.window_days:g}"
    return words.text("uplift.title", experiment=found.experiment, share=share, days=days)


def arm_table(found: UpliftFigures, words: Translator) -> Table:
    """Return the outcomes by arm."""
    names = ("arm", "customers", "ordered", "rate", "revenue")
    rows = [
        [
            words.text(f"uplift.{one.arm}"),
            f"{one.customers:,}",
            f"{one.ordered:,}",
            f"{one.ordered / one.customers:.1%}" if one.customers else words.dash,
            f"{one.revenue / one.customers:,.2f}" if one.customers else words.dash,
        ]
        for one in found.arms
    ]
    return Table([words.text(f"uplift.{name}") for name in names], [[*row] for row in rows])


def lines(found: UpliftFigures, words: Translator, *, replayed: bool) -> list[str]:
    """Return what the figures say, as sentences."""
    said = [words.text("uplift.replayed")] if replayed else []
    if len(found.shares) > 1:
        parts = [
            words.text("uplift.part", share=f"{100 * one.share:g}", drawn=f"{one.drawn:,}") for one in found.shares
        ]
        said.append(words.text("uplift.shares", parts=words.text("uplift.then").join(parts)))
    if found.waiting:
        said.append(words.text("uplift.waiting", waiting=f"{found.waiting:,}", drawn=f"{found.drawn:,}"))
    said.append(_effect("uplift.effect", found.effect, words) if found.effect else words.text("uplift.no_effect"))
    if found.placebo:
        said.append(_effect("uplift.placebo", found.placebo, words))
    split = "uplift.split_broken" if found.mismatch > MISMATCH else "uplift.split_right"
    said.append(words.text(split, evidence=f"{found.mismatch:,.3g}"))
    if found.cost is not None:
        said.append(words.text("uplift.cost", cost=f"{found.cost:,.0f}"))
    return said + _outlook(found, words)


def _effect(key: str, effect: Effect, words: Translator) -> str:
    return words.text(key, **{name: _points(getattr(effect, name)) for name in ("effect", "lower", "upper")})


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _outlook(found: UpliftFigures, words: Translator) -> list[str]:
    if found.outlook is None:
        return []
    shown, years = {"points": f"{100 * found.outlook.detectable:.1f}"}, found.outlook.years
    if found.outlook.answer:
        return [words.text("uplift.answered")]
    if found.outlook.days is None:
        return [words.text("uplift.never", years=years, **shown)]
    return [
        words.text("uplift.later", days=f"{found.outlook.days:,.0f}"),
        words.text("uplift.shows", years=years, **shown),
    ]


def family_tables(found: UpliftFigures, words: Translator) -> list[tuple[str, Table]]:
    """Return the effects by cause, measure and channel, with the titles. A single measure or channel is no family."""
    kinds = (("cause", found.families), ("measure", found.measures), ("channel", found.channels))
    return [
        (words.text(f"uplift.by_{kind}"), _family_table(kind, families, words))
        for kind, families in kinds
        if len(families) > (kind != "cause")
    ]


def _family_table(kind: str, families: Sequence[FamilyEffect], words: Translator) -> Table:
    rows = [
        [
            family_name(kind, one.family, words),
            f"{one.customers:,}",
            f"{_points(one.effect)} ± {100 * one.error:.1f}",
            _points(one.unshrunk),
        ]
        for one in families
    ]
    names = (kind, "customers", "shrunk", "unshrunk")
    return Table([words.text(f"uplift.{name}") for name in names], [[*row] for row in rows])


def family_name(kind: str, key: str, words: Translator) -> str:
    """Return the name of a family. A measure is named by its cause, and by its segment if it has one."""
    if key in ("", OTHERS):
        return words.text("uplift.others" if key else "uplift.unknown")
    if kind == "channel":
        return words.text(f"uplift.channels.{key}")
    cause, _, segment = key.partition(".")
    return f"{words.cause(cause)} · {words.segment(segment)}" if segment else words.cause(cause)

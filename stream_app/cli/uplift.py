"""The `stream-app uplift` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from stream_app.cli.options import JsonOption, LangOption, language, share
from stream_app.cli.output import results, write_document
from stream_app.cli.tables import show_table
from stream_app.core.uplift.figures import MISMATCH, Effect, FamilyEffect, UpliftFigures
from stream_app.errors import BadOption
from stream_app.i18n import Translator


def uplift(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Results of a replay with --holdout.")
    ] = None,
    alerts: Annotated[
        Path | None, typer.Option(help="Instead of FOLDER: messages of shop.alerts, one per line; or alerts.jsonl.")
    ] = None,
    log: Annotated[list[str] | None, typer.Option(help="The shop's log, with --alerts. Repeatable.")] = None,
    mapping: Annotated[str, typer.Option(help="Format of the log, as --format of replay.")] = "jsonl",
    settings: Annotated[Path | None, typer.Option(help="TOML file with the shop's settings, with --alerts.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The shop's contact policy (holdout, rates of currencies), with --alerts.")
    ] = None,
    holdout: Annotated[str | None, typer.Option(help="Share of customers held out, with --alerts.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Name of the experiment, with --alerts.")] = None,
    playbook: Annotated[Path | None, typer.Option(help="Your own playbook at that time, with --alerts.")] = None,
    as_json: JsonOption = False,
    lang: LangOption = "",
) -> None:
    """Show what the calls change, from a replay or a live shop's records."""
    if folder is not None:
        found = read_figures(folder)
    elif alerts is not None and log:
        given = {"holdout.share": holdout, "holdout.experiment": experiment}
        if policy is not None:
            given["policy"] = str(policy)
        found = _recorded(alerts, log, mapping, settings, given, playbook)
    else:
        raise BadOption(option="FOLDER", value="", remedy="Name the results of a replay, or use --alerts and --log.")
    if as_json:
        write_document(found)
        return
    words, console = Translator(language(lang), "cli", "explanations"), results()
    _show_arms(found, words)
    for line in lines(found, words, replayed=folder is not None):
        console.print(Text(line), soft_wrap=True)
    for kind, families in (("cause", found.families), ("measure", found.measures), ("channel", found.channels)):
        if len(families) > 1 or (families and kind == "cause"):
            _show_families(kind, families, words)


def read_figures(folder: Path) -> UpliftFigures:
    """Return the figures that a replay has written. Raises BadOption."""
    from stream_app.replay.uplift import FIGURES_FILE

    path = folder / FIGURES_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpliftFigures)
    except OSError as error:
        remedy = f"It has no {FIGURES_FILE}. Replay the log with --rank-by worth --holdout 20%."
        raise BadOption(option="FOLDER", value=str(folder), remedy=remedy) from error
    except msgspec.MsgspecError as error:
        raise BadOption(option="FOLDER", value=str(path), remedy=f"It cannot be read: {error}.") from error


def _recorded(
    alerts: Path,
    log: list[str],
    mapping: str,
    settings: Path | None,
    given: dict[str, str | None],
    playbook: Path | None,
) -> UpliftFigures:
    from stream_app.cli.replay import read_settings
    from stream_app.ingest import LogFormat
    from stream_app.notifications.playbook.playbook import load_playbook
    from stream_app.replay.recorded_draws import recorded_uplift

    held_out = given["holdout.share"]
    values = {**given, "holdout.share": None if held_out is None else share(held_out)}
    if settings is None:
        values["rank_by"] = "worth"  # a holdout needs planned calls; which plan it was does not matter here
    shop = read_settings(settings, values)
    if not shop.holdout.share:
        raise BadOption(option="--holdout", value="0", remedy="Use the share that was held out, or --settings.")
    return recorded_uplift(alerts, log, LogFormat(mapping), shop, load_playbook(playbook))


def _show_arms(found: UpliftFigures, words: Translator) -> None:
    names = ("arm", "customers", "ordered", "rate", "revenue")
    rows = [
        (
            words.text(f"uplift.{one.arm}"),
            f"{one.customers:,}",
            f"{one.ordered:,}",
            f"{one.ordered / one.customers:.1%}" if one.customers else "–",
            f"{one.revenue / one.customers:,.2f}" if one.customers else "–",
        )
        for one in found.arms
    ]
    title = words.text(
        "uplift.title", experiment=found.experiment, share=f"{100 * found.share:g}", days=f"{found.window_days:g}"
    )
    show_table(results(), title, {words.text(f"uplift.{name}"): 0 for name in names}, rows)


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


def _show_families(kind: str, families: list[FamilyEffect], words: Translator) -> None:
    names = (kind, "customers", "shrunk", "unshrunk")
    rows = [
        (
            family_name(kind, one.family, words),
            f"{one.customers:,}",
            f"{_points(one.effect)} ± {100 * one.error:.1f}",
            _points(one.unshrunk),
        )
        for one in families
    ]
    columns = {words.text(f"uplift.{name}"): 0 for name in names}
    show_table(results(), words.text(f"uplift.by_{kind}"), columns, rows)


def family_name(kind: str, key: str, words: Translator) -> str:
    """Return the name of a family. A measure is named by its cause, and by its segment if it has one."""
    if not key:
        return words.text("uplift.unknown")
    if kind == "channel":
        return words.text(f"contact_channels.{key}")
    cause, _, segment = key.partition(".")
    return f"{words.cause(cause)} · {words.segment(segment)}" if segment else words.cause(cause)

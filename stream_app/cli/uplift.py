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
from stream_app.core.uplift.figures import UpliftFigures
from stream_app.errors import BadOption
from stream_app.i18n import Translator
from stream_app.report.tables import Table
from stream_app.report.uplift import arm_table, family_tables, lines, title


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
    words, console = Translator(language(lang), "uplift"), results()
    _show(title(found, words), arm_table(found, words))
    for line in lines(found, words, replayed=folder is not None):
        console.print(Text(line), soft_wrap=True)
    for name, table in family_tables(found, words):
        _show(name, table)


def read_figures(folder: Path) -> UpliftFigures:
    """Return the figures that a replay has written. Raises BadOption."""
    from stream_app.replay.uplift import FIGURES_FILE

    path = folder / FIGURES_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=UpliftFigures)
    except OSError as error:
        remedy = f"It has no {FIGURES_FILE}. Replay the log with --holdout 20%."
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


def _show(name: str, table: Table) -> None:
    show_table(results(), name, dict.fromkeys(table.head, 0), [tuple(map(str, row)) for row in table.rows])

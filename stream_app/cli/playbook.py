"""The `stream-app playbook` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from stream_app.cli.options import JsonOption, LangOption, language, one_of
from stream_app.cli.output import results, write_json
from stream_app.cli.tables import show_table
from stream_app.i18n import Translator
from stream_app.notifications.messages.composer import PlaybookComposer
from stream_app.notifications.playbook.measures import CAUSES, DEFAULT, Channel, Measure, Playbook
from stream_app.notifications.playbook.playbook import load_playbook

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Show and check the measures for each cause of churn."
)
_COLUMNS: Final = {"cause": 0, "name": 0, "kind": 0, "first": 36, "own": 20}


@app.command()
def check(
    own: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Your own playbook.")] = None,
    templates: Annotated[Path | None, typer.Option(help="Folder with your own message templates.")] = None,
    lang: LangOption = "",
) -> None:
    """Check a playbook and templates. If one is invalid, print the line and a remedy, and exit with status 2."""
    playbook, words, console = load_playbook(own), Translator(language(lang), "cli"), results()
    entries = len(playbook.layers[0]) if own is not None and len(playbook.layers) > 1 else 0
    console.print(Text(words.text("playbook.complete", causes=len(CAUSES), entries=entries)))
    if templates is not None:
        PlaybookComposer(playbook, templates=templates)
        console.print(Text(words.text("playbook.templates", folder=templates)))


@app.command()
def show(
    cause: Annotated[str, typer.Argument(metavar="[CAUSE]", help="Key of a cause. Default: all causes.")] = "",
    own: Annotated[
        Path | None, typer.Option("--playbook", help="Your own playbook, which overrides the built-in one.")
    ] = None,
    as_json: JsonOption = False,
    lang: LangOption = "",
) -> None:
    """Show the measures: an overview of all causes, or all measures for one cause."""
    playbook, words = load_playbook(own), Translator(language(lang), "cli")
    if cause:
        one_of("CAUSE", cause, CAUSES)
    if as_json:
        write_json(_content(playbook, key, words) for key in ([cause] if cause else CAUSES))
    elif cause:
        _show_cause(playbook, cause, words)
    else:
        _show_overview(playbook, words)


def _show_overview(playbook: Playbook, words: Translator) -> None:
    columns = {words.text(f"playbook.{name}"): cells for name, cells in _COLUMNS.items()}
    rows = []
    for cause in CAUSES:
        measure = playbook.measure(cause)
        segments = words.join(map(words.segment, playbook.overridden(cause)))
        kind, step = words.text(f"kinds.{measure.kind.value}"), measure.steps[0].text(words.lang)
        rows.append((cause, words.cause(cause), kind, step, segments))
    show_table(results(), words.text("playbook.title"), columns, rows)


def _show_cause(playbook: Playbook, cause: str, words: Translator) -> None:
    console = results()
    console.print(Text(f"{words.cause(cause)} ({cause})", style="bold"))
    for segment in (*playbook.overridden(cause), DEFAULT):
        name = words.text("playbook.default") if segment == DEFAULT else words.segment(segment)
        console.print(Text(f"\n{name}", style="bold cyan"))
        console.print(_described(playbook, playbook.measure(cause, segment), words))


def _described(playbook: Playbook, measure: Measure, words: Translator) -> Text:
    kind = f"{words.text('playbook.kind')}: {words.text(f'kinds.{measure.kind.value}')}"
    channels = ", ".join(_channel(playbook, measure, one, words) for one in measure.channels)
    lines = [f"  {kind}   {words.text('playbook.channels')}: {channels}"]
    lines += [f"  {number}. {step.text(words.lang)}" for number, step in enumerate(measure.steps, 1)]
    lines += [f"  {words.text('playbook.never')}: {one.text(words.lang)}" for one in (*measure.never, *playbook.never)]
    return Text("\n".join(lines))


def _channel(playbook: Playbook, measure: Measure, channel: Channel, words: Translator) -> str:
    """Return the name of a channel and, for phone calls, the monthly worth above which it is used."""
    name = words.text(f"contact_channels.{channel.value}")
    limited = channel is Channel.PHONE and playbook.channel(measure, 0.0) is not Channel.PHONE
    return f"{name} ({words.text('playbook.from', worth=f'{playbook.limits.phone_from:g}')})" if limited else name


def _content(playbook: Playbook, cause: str, words: Translator) -> dict[str, Any]:
    measures = {segment: playbook.measure(cause, segment) for segment in (*playbook.overridden(cause), DEFAULT)}
    return {
        "cause": cause,
        "name": words.cause(cause),
        "measures": {
            segment: {
                "kind": one.kind.value,
                "channels": [channel.value for channel in one.channels],
                "steps": [step.text(words.lang) for step in one.steps],
                "never": [text.text(words.lang) for text in (*one.never, *playbook.never)],
            }
            for segment, one in measures.items()
        },
    }

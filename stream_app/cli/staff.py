"""The commands of the staff: playbook, episode. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from stream_app.cli.live import BootstrapOption, ConfigOption, SetOption, settings
from stream_app.cli.telling import errors_told, output

playbook_app = typer.Typer(no_args_is_help=True, help="What to do about each cause of leaving.")

episode_app = typer.Typer(no_args_is_help=True, help="Alerts in work: whose they are, and what came of them.")

ACK, SNOOZE, RESOLVE = "episode_acked", "episode_snoozed", "episode_resolved"
MAX_NOTE: Final = 500  # characters
OwnOption = Annotated[Path | None, typer.Option("--playbook", help="Your own playbook, over the shipped one.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(playbook_app, name="playbook")
    app.add_typer(episode_app, name="episode")


@playbook_app.command("check")
def check_playbook(
    own: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Your own playbook.")] = None,
    templates: Annotated[Path | None, typer.Option(help="Folder with your own templates of messages.")] = None,
    lang: Annotated[str, typer.Option(help="en or zh. Default: the environment's.")] = "",
) -> None:
    """Check a playbook and templates before they are used. Exit status 2 if one is wrong, with line and remedy."""
    with errors_told():
        from stream_app.cli.playbooks import run_check

        run_check(own, templates, _lang(lang), output())


@playbook_app.command("show")
def show_playbook(
    cause: Annotated[str, typer.Argument(metavar="[CAUSE]", help="Its key; without one: an overview.")] = "",
    own: OwnOption = None,
    lang: Annotated[str, typer.Option(help="en or zh. Default: the environment's.")] = "",
) -> None:
    """Show the measures: an overview of all causes, or everything that is said of one."""
    with errors_told():
        from stream_app.cli.playbooks import run_show

        run_show(cause, own, _lang(lang), output())


StaffOption = Annotated[str, typer.Option("--staff", help="Your name, as your colleagues know it.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or enough of its beginning.")]
TakeOverOption = Annotated[bool, typer.Option("--take-over", help="Also if it belongs to somebody else.")]
LangOption = Annotated[str, typer.Option(help="en or zh. Default: the environment's.")]


@episode_app.command("list")
def list_episodes(
    everything: Annotated[bool, typer.Option("--all", help="Also those that rest until later.")] = False,
    form: Annotated[str, typer.Option("--format", help="table, or json: a line each, unmasked.")] = "table",
    lang: LangOption = "",
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """List the open episodes: urgent cases first, then the latest day, by rank."""
    with errors_told():
        from stream_app.cli.episodes import run_list

        run_list(settings(config, given=given), form, _lang(lang), output(), everything=everything)


@episode_app.command("show")
def show_episode(alert_id: IdArgument, config: ConfigOption = None, given: SetOption = None) -> None:
    """Show an open episode or urgent case as JSON, with the customer's full id."""
    with errors_told():
        from stream_app.cli.episodes import run_show

        run_show(settings(config, given=given), alert_id, output())


@episode_app.command("ack")
def ack(
    alert_id: IdArgument,
    staff: StaffOption,
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Take an episode or urgent case on: from now on it is yours, and a colleague's `ack` is refused."""
    _work(ACK, alert_id, {"staff": staff, "take_over": take_over}, lang, (config, bootstrap, given))


@episode_app.command("snooze")
def snooze(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    alert_id: IdArgument,
    staff: StaffOption,
    until: Annotated[str, typer.Option(help="2d, or a time with an offset: 2026-11-12T09:00+08:00.")],
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Put an episode or urgent case off until a time, at most until it expires; it is yours then."""
    said = {"staff": staff, "take_over": take_over, "until": until}
    _work(SNOOZE, alert_id, said, lang, (config, bootstrap, given))


@episode_app.command("resolve")
def resolve(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    alert_id: IdArgument,
    staff: StaffOption,
    outcome: Annotated[str, typer.Option(help="retained, lost, unreachable or no_action.")],
    cause: Annotated[str, typer.Option(help="Why the customer was leaving: a key of `playbook show`.")] = "",
    note: Annotated[str, typer.Option(help="For those who read the topic; no names or numbers of customers.")] = "",
    take_over: TakeOverOption = False,
    lang: LangOption = "",
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """End an episode or urgent case with what came of it, and with the cause that you have confirmed."""
    with errors_told():
        from stream_app.cli.options import one_of
        from stream_app.core.alerts.staff_actions import OUTCOMES
        from stream_app.notifications.playbook.measures import CAUSES

        one_of("--outcome", outcome, *OUTCOMES)
        if cause:
            one_of("--cause", cause, *CAUSES)
    said = {"staff": staff, "take_over": take_over, "outcome": outcome, "cause": cause, "note": note[:MAX_NOTE]}
    _work(RESOLVE, alert_id, said, lang, (config, bootstrap, given))


def _work(
    action: str,
    alert_id: str,
    said: dict[str, Any],
    lang: str,
    where: tuple[Path | None, str | None, list[str] | None],
) -> None:
    with errors_told():
        from stream_app.cli.episodes import run_work

        run_work(settings(*where), alert_id, action, said, _lang(lang), output())


def _lang(given: str) -> str:
    from stream_app.cli.options import language, one_of

    return one_of("--lang", given or language(), "en", "zh")

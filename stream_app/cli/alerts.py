"""`stream-app deliver` and `stream-app alerts`: bring alerts to the staff, and see what became of them."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.cli.live import BootstrapOption, ConfigOption, SetOption, settings
from stream_app.cli.telling import console, errors_told, output

alerts_app = typer.Typer(no_args_is_help=True, help="What became of the alerts that the staff was to be told.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(deliver)
    app.add_typer(alerts_app, name="alerts")


def deliver(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Bring alerts to the staff's chats and to webhooks. One of them."""
    with errors_told():
        from stream_app.services.notifier.service import NotifierService
        from stream_app.services.runtime.process import run_service

        raise typer.Exit(run_service("notifier", settings(config, bootstrap, given), NotifierService))


@alerts_app.command("list")
def list_alerts(
    state: Annotated[
        str | None, typer.Option(help="pending, sent, suppressed, dead, or why suppressed: shadow, ...")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the latest.")] = 50,
    form: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """List deliveries, the last to change its state first: alert, channel, state and why."""
    with errors_told():
        from stream_app.cli.delivered import Wanted, run_list

        run_list(settings(config, given=given), Wanted(state, channel, limit, form), output())


@alerts_app.command()
def redrive(
    delivery: Annotated[str | None, typer.Argument(help="The id of a dead delivery.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead deliveries.")] = False,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Ask the deliverer to try dead deliveries again. Those that have expired are suppressed instead."""
    with errors_told():
        from stream_app.cli.delivered import run_redrive

        run_redrive(settings(config, given=given), delivery, everything, output())


@alerts_app.command()
def enable(
    channel: Annotated[str, typer.Argument(help="The channel's name.")],
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Open a channel again that its receiver has closed (HTTP 410)."""
    with errors_told():
        from stream_app.cli.delivered import run_enable

        run_enable(settings(config, given=given), channel, output())


@alerts_app.command("test")
def send_sample(
    channel: Annotated[str, typer.Argument(help="The channel's name.")],
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Send a sample to a channel now, marked as such; say what went wrong and what to do. Exit status 1 if it did."""
    with errors_told():
        from stream_app.cli.delivered import run_test

        raise typer.Exit(run_test(settings(config, given=given), channel, console()))

"""The commands of the running service: worker, trainer, desk, and what is stored: state, model."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_app.cli.live import BootstrapOption, ConfigOption, SetOption, settings
from stream_app.cli.telling import errors_told, output

state_app = typer.Typer(no_args_is_help=True, help="What is stored of customers.")
model_app = typer.Typer(no_args_is_help=True, help="The versions of the model, and which one is in force.")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (worker, trainer, allocator):
        app.command()(command)
    app.add_typer(state_app, name="state")
    app.add_typer(model_app, name="model")


def worker(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Score: consume the shop's events, keep every customer's state, decide, nominate. Any number of them."""
    with errors_told():
        from stream_app.services.runtime.process import run_service
        from stream_app.services.worker.service import WorkerService

        raise typer.Exit(run_service("worker", settings(config, bootstrap, given), WorkerService))


def trainer(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Learn from what customers really did. One of them."""
    with errors_told():
        from stream_app.services.runtime.process import run_service
        from stream_app.services.trainer.service import TrainerService

        raise typer.Exit(run_service("trainer", settings(config, bootstrap, given), TrainerService))


def allocator(config: ConfigOption = None, bootstrap: BootstrapOption = None, given: SetOption = None) -> None:
    """Open the day's episodes among all nominations. One of them."""
    with errors_told():
        from stream_app.services.allocator.service import AllocatorService
        from stream_app.services.runtime.process import run_service

        raise typer.Exit(run_service("allocator", settings(config, bootstrap, given), AllocatorService))


@state_app.command("show")
def show_state(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    form: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Show what is stored of a customer: score, decisions that wait, facts."""
    with errors_told():
        from stream_app.cli.stored import run_show_state

        run_show_state(settings(config, given=given), customer, form, output())


@model_app.command("list")
def list_models(config: ConfigOption = None, given: SetOption = None) -> None:
    """List the versions that are kept."""
    with errors_told():
        from stream_app.cli.stored import run_list_models

        run_list_models(settings(config, given=given), output())


@model_app.command("show")
def show_model(
    version: Annotated[int | None, typer.Argument(help="Its number; without one: the version in force.")] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Show a version: what it learned from, what its experts count for, what moves it."""
    with errors_told():
        from stream_app.cli.stored import run_show_model

        run_show_model(settings(config, given=given), version, output())


@model_app.command("rollback")
def rollback(
    version: Annotated[int | None, typer.Argument(help="The version; without one: the newest again.")] = None,
    config: ConfigOption = None,
    given: SetOption = None,
) -> None:
    """Put a kept version in force with the next tick, until told otherwise."""
    with errors_told():
        from stream_app.cli.stored import run_rollback

        run_rollback(settings(config, given=given), version, output())

"""Table of all commands. `stream-app --help` reads only this table; a command's module is imported when it runs."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from stream_app import __version__
from stream_app.cli.output import reported_errors


class Entry(NamedTuple):
    """A command in `stream-app --help`: its module in `stream_app.cli`, its section and its summary."""

    module: str
    section: str
    summary: str


_LOGS, _SERVICES, _STAFF, _OPERATIONS = "Recorded logs", "Services", "Staff", "Operations"
COMMANDS: Final = {
    "demo": Entry("demo", _LOGS, "Run a simulated shop on the real services, with embedded Kafka and Redis."),
    "simulate": Entry("simulate", _LOGS, "Write the log of a simulated shop, as JSON lines in the wire format."),
    "replay": Entry("replay", _LOGS, "Replay a recorded log and report how early churn would have been detected."),
    "uplift": Entry("uplift", _LOGS, "Show what the calls change, from a replay or a live shop's records."),
    "publish": Entry("publish", _LOGS, "Publish a recorded log to Kafka, with its own ticks."),
    "schema": Entry("schema", _LOGS, "Print the schema of events, alerts or webhooks."),
    "worker": Entry("services", _SERVICES, "Run a worker: process events, score customers and find alert candidates."),
    "trainer": Entry("services", _SERVICES, "Run the trainer: update the model from labelled decisions."),
    "allocator": Entry("services", _SERVICES, "Run the allocator: open the day's alerts, chosen from all candidates."),
    "notifier": Entry("services", _SERVICES, "Run the notifier: deliver alerts to chats and webhooks."),
    "alerts": Entry("alerts", _STAFF, "List open alerts, and record who works on them and the outcome."),
    "explain": Entry("explain", _STAFF, "Explain in words what is known about a customer."),
    "playbook": Entry("playbook", _STAFF, "Show and check the measures for each cause of churn."),
    "policy": Entry("policy", _STAFF, "Check, publish and compare contact policies: who may be called, and how often."),
    "deliveries": Entry("deliveries", _STAFF, "List and retry alert deliveries, and test channels."),
    "topics": Entry("topics", _OPERATIONS, "Create and check the Kafka topics."),
    "acls": Entry("acls", _OPERATIONS, "Print the permissions that the services need in Kafka and Redis."),
    "state": Entry("state", _OPERATIONS, "Show the stored state of a customer."),
    "model": Entry("model", _OPERATIONS, "List, show and roll back model versions; check experts."),
    "health": Entry("health", _OPERATIONS, "Check whether a service on this machine is ready."),
    "secret": Entry("secret", _OPERATIONS, "Write a new random secret to a file."),
    "shop": Entry("shop", _OPERATIONS, "Run a simulated shop on Kafka in real time."),
    "receiver": Entry("receiver", _OPERATIONS, "Run a webhook receiver that verifies signatures and shows messages."),
}

# Names of commands up to version 0.1, with the commands that replace them.
RENAMED: Final = {
    "desk": "allocator",
    "deliver": "notifier",
    "episode": "alerts",
    "alerts redrive": "deliveries redrive",
    "alerts enable": "deliveries enable",
    "alerts test": "deliveries test",
}


class Group(TyperGroup):
    """A command group that names the new command for an old name, and the option `--json` for `--format`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command's name, the command and its arguments. Fails if the command is renamed or unknown."""
        old = f"{ctx.command_path.partition(' ')[2]} {args[0]}".strip()
        if old in RENAMED:
            ctx.fail(f"`stream-app {old}` has been renamed. Use `stream-app {RENAMED[old]}`.")
        name, command, rest = super().resolve_command(ctx, args)
        command = self.loaded(name, command)
        parameters = getattr(command, "params", ())  # during completion, the command may be unknown
        options = {option for parameter in parameters for option in parameter.opts}
        if "--json" in options and any(word.partition("=")[0] == "--format" for word in rest):
            ctx.fail("No such option: --format. Use --json.")
        return name, command, rest

    def loaded(self, _name: str | None, command: Any) -> Any:
        """Return the command to run."""
        return command


class Commands(Group):
    """The top-level group. It imports a command's module when the command is called."""

    def loaded(self, name: str | None, command: Any) -> Any:
        """Return the command after importing its module."""
        return imported(name) if name else command

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Print an error of the product as one paragraph and exit with its status."""
        with reported_errors():
            return super().invoke(ctx)


def imported(name: str) -> Any:
    """Return a command of COMMANDS. Its module defines either a group, `app`, or a function with the command's name."""
    module = import_module(f"stream_app.cli.{COMMANDS[name].module}")
    if hasattr(module, "app"):
        module.app.info.cls = Group
        return get_group(module.app)
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(module, name))
    return get_command(single)


def _placeholder() -> None:
    """Return a stand-in for a command, used only to list it."""


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Real-time churn monitor for online shops: which customers are about to leave, why, how likely it is, and what"
    " they are worth.",
)
for _name, _entry in COMMANDS.items():
    app.command(_name, help=_entry.summary, rich_help_panel=_entry.section)(_placeholder)


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Handle the options of `stream-app` itself."""
    if version:
        typer.echo(f"stream-app {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()

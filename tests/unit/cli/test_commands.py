"""The command line as a whole: help, completion, renamed commands, and errors in one place."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream_app.cli import app, commands
from stream_app.cli.commands import COMMANDS, RENAMED, imported
from stream_app.errors import EXIT_CODES, ChurnMonitorError

PROJECT = Path(__file__).parents[3]
MODULES = Path(commands.__file__).parent
SUPPORT = {"__init__", "commands", "options", "output", "progress", "tables", "trial"}


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "120"} | environ, prog_name="stream-app")


def subcommands(command: Any, path: str) -> dict[str, Any]:
    """All commands below one, by path."""
    found = {path: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= subcommands(inner, f"{path} {name}")
    return found


ALL = {path: command for name in COMMANDS for path, command in subcommands(imported(name), name).items()}


def test_every_module_is_a_command_or_a_group() -> None:
    assert {path.stem for path in MODULES.glob("*.py")} - SUPPORT == {entry.module for entry in COMMANDS.values()}


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if entry.module == name])
def test_the_first_line_of_a_module_names_its_command(name: str) -> None:
    module = import_module(f"stream_app.cli.{name}")
    noun = "commands" if hasattr(module, "app") else "command"
    assert re.match(rf"The `stream-app {name}` {noun}[.,]", module.__doc__ or "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_the_list_is_that_of_the_command(name: str) -> None:
    assert imported(name).help.partition("\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize("path", ALL)
def test_every_command_has_help_and_so_has_every_option(path: str) -> None:
    assert run(*path.split(), "-h").exit_code == 0
    assert ALL[path].help.strip()
    assert [one.name for one in ALL[path].params if not one.help] == []


LISTINGS = [path for path in ALL if path.endswith(" list")] + ["explain", "playbook show", "state show", "topics check"]


@pytest.mark.parametrize("path", LISTINGS)
def test_every_listing_speaks_json(path: str) -> None:
    assert "--json" in [option for one in ALL[path].params for option in one.opts]


@pytest.mark.parametrize("old", RENAMED)
def test_a_renamed_command_names_the_new_one(old: str) -> None:
    done = run(*old.split())
    assert done.exit_code == 2
    assert f"Use `stream-app {RENAMED[old]}`." in " ".join(done.stderr.replace("│", " ").split())
    assert RENAMED[old] in ALL


def test_an_unknown_command_is_rejected() -> None:
    assert (run("replai").exit_code, run("alerts", "lost").exit_code) == (2, 2)


def test_the_version_is_shown() -> None:
    assert run("--version").stdout.startswith("stream-app 0.")


def test_the_shell_completes_commands_and_subcommands() -> None:
    for words, found in (("stream-app al", ["alerts", "allocator"]), ("stream-app alerts sn", ["snooze"])):
        environ = {"_STREAM_APP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert sorted(run(**environ).stdout.split()) == sorted(found)


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from stream_app.cli import app;"
        "CliRunner().invoke(app, ['--help']);"
        "print(*{'faust', 'river', 'duckdb', 'redis', 'kafka', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_help_of_a_command_imports_no_river() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from stream_app.cli import app;"
        f"[CliRunner().invoke(app, [*path.split(), '--help']) for path in {sorted(ALL)}];"
        "print(*{'river'} & set(sys.modules), 'stream_app.cli.alerts' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_a_missing_package_of_an_extra_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for name in [name for name in sys.modules if name.startswith(("stream_app.ingest", "stream_app.cli.replay"))]:
        monkeypatch.delitem(sys.modules, name)
    done = run("replay", "log.csv", "--out", "out")
    assert done.exit_code == 2
    assert "package duckdb" in done.stderr
    assert "make env" in done.stderr


@pytest.mark.parametrize("page", ["commands.md", "commands.zh.md"])
def test_the_reference_lists_every_command_and_exit_status(page: str) -> None:
    text = (PROJECT / "docs" / "reference" / page).read_text(encoding="utf-8")
    rows = [cells[0] for line in text.splitlines() if (cells := re.findall(r"^\| (.+?) \|", line))]
    assert {re.split(r"[ `]", row.strip("`"))[0] for row in rows if row.startswith("`")} == set(COMMANDS)
    assert [int(row) for row in rows if row.isdigit()] == list(EXIT_CODES)
    if page == "commands.md":
        assert [meaning for status, meaning in EXIT_CODES.items() if f"| {status} | {meaning} |" not in text] == []


def test_every_error_has_an_exit_status_of_the_table() -> None:
    def below(kind: type[ChurnMonitorError]) -> list[type[ChurnMonitorError]]:
        return [kind, *(inner for one in kind.__subclasses__() for inner in below(one))]

    assert {one.exit_code for one in below(ChurnMonitorError)} | {0} == set(EXIT_CODES)


@pytest.mark.parametrize("words", ["alerts list", "explain c1", "deliveries list"])
def test_a_format_of_json_names_the_option_for_it(words: str) -> None:
    done = run(*words.split(), "--format", "json")
    assert done.exit_code == 2
    assert "Use --json" in done.stderr

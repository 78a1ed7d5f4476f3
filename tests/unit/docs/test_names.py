"""Names in backticks exist: modules, classes, commands and metrics that the pages mention."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from stream_app.cli.commands import COMMANDS
from stream_app.metrics.index import SERVICES
from tests.conftest import PROJECT

DOCS = PROJECT / "docs"
ROOTS = ("stream_app", "tests", "docs", "benchmarks", "grafana", "prometheus", "deploy")
PAGES = [
    *(page for page in sorted(DOCS.rglob("*.md")) if page.name != "template.md"),
    *(PROJECT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
NOT_YET = {"tests/data/upgrade/0.2.0"}  # a fixture of the release to come
EARLIER = {"upgrade.md", "upgrade.zh.md", "CHANGELOG.md"}  # these also give the names of earlier releases


def by_path(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def code_of(page: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", text)


@cache
def defined() -> frozenset[str]:
    """Return the classes, functions and constants of the product."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "stream_app").rglob("*.py"))
    return frozenset(re.findall(r"^(?:class |(?:async )?def )?(\w+)(?=[(:=\[ ])", code, re.MULTILINE))


def is_there(path: str) -> bool:
    """Return whether a path exists in the repository or, as the pages may shorten it, in the package."""
    return any(any(root.glob(path)) for root in (PROJECT, PROJECT / "stream_app"))


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_path_exists(page: Path) -> None:
    folders = {one.name for one in (PROJECT / "stream_app").iterdir() if one.is_dir()} | set(ROOTS)
    named = {
        span.partition("::")[0].rstrip("/")
        for span in code_of(page)
        if re.fullmatch(r"[\w.*/-]+(?:::\w+)?", span) and span.partition("/")[0] in folders and "/" in span
    }
    assert [name for name in sorted(named - NOT_YET) if not is_there(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=by_path)
def test_every_module_that_is_run_exists(page: Path) -> None:
    named = re.findall(r"python -m ((?:benchmarks|grafana|stream_app)[\w.]*)", page.read_text(encoding="utf-8"))
    paths = {name: name.replace(".", "/") for name in named}
    assert [
        name for name, path in paths.items() if not (is_there(f"{path}.py") or is_there(f"{path}/__init__.py"))
    ] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in EARLIER], ids=by_path)
def test_every_command_exists(page: Path) -> None:
    named = re.findall(r"stream-app ([a-z]+)\b", " ".join(f"{span}\n" for span in code_of(page)))
    assert sorted(set(named) - COMMANDS.keys()) == []


@pytest.mark.parametrize("page", ["reference/kpis.md", "reference/kpis.zh.md", "runbook.md", "runbook.zh.md"])
def test_every_metric_exists(page: str) -> None:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - for this test alone

    known = {one.name for kinds in SERVICES.values() for kind in kinds for one in kind(CollectorRegistry()).described}
    named = set(re.findall(r"\bchurn_[a-z_]+", (DOCS / page).read_text(encoding="utf-8")))
    assert sorted(named - known) == []


def test_both_pages_of_kpis_have_the_same_formulas() -> None:
    english, chinese = (
        re.findall(r"^\|[^|]+\| ([^|]*churn_[^|]*) \|", (DOCS / "reference" / page).read_text("utf-8"), re.MULTILINE)
        for page in ("kpis.md", "kpis.zh.md")
    )
    assert english == chinese


def test_the_writers_of_stored_formats_exist() -> None:
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|", (DOCS / "state-formats.md").read_text("utf-8"), re.MULTILINE)
    writers = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(writers) > 15
    assert sorted(writers - defined()) == []


def test_the_new_names_of_the_layout_exist() -> None:
    table = (DOCS / "adr" / "0021-layout-and-names.md").read_text("utf-8")
    names = re.findall(r"^\| `\w+`[^|]* \| `(\w+)` \|$", table, re.MULTILINE)
    assert len(names) > 70
    assert sorted(set(names) - defined()) == []

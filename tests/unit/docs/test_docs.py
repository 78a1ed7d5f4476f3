"""The pages that are made from the code are current, and links within docs/ lead somewhere."""

from __future__ import annotations

import re
import runpy
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.customers.codec.states import encode_customers
from stream_app.core.events.schema import Order
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.features import FEATURES
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.settings import Settings
from stream_app.core.state.counters import COUNTED
from stream_app.core.state.vector import SLOTS
from stream_app.core.units import DAY_US, EPOCH
from stream_app.metrics.index import SERVICES
from stream_app.notifications.messages.alert_view import AlertView
from stream_app.notifications.messages.size_budget import SizeBudget
from stream_app.notifications.playbook.playbook import load_playbook

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = ["events", "features", "state", "settings", "metrics", "playbook", "causes"]
MADE = [
    "schema/events.schema.json",
    "schema/alerts.schema.json",
    "schema/webhook.schema.json",
    "schema/asyncapi.json",
    *(f"reference/{page}{suffix}" for page in REFERENCE for suffix in (".md", ".zh.md")),
    "../deploy/kafka-acls.sh",
    "../deploy/redis-users.acl",
]
HAN = re.compile(r"[\u4e00-\u9fff]")
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page.name != "template.md"]
READ = [*PAGES, DOCS.parent / "README.md", DOCS.parent / "README.zh.md"]
ENGLISH_ONLY = {"STATUS.md", "benchmarks.md", "extending.md", "state-formats.md", "mappings.md", "simulator.md"}


@cache
def generator() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("name", MADE)
def test_a_page_made_from_the_code_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == generator()["pages"]()[name], "run `make docs`"


def test_no_page_is_made_without_a_test() -> None:
    assert sorted(generator()["pages"]()) == sorted(MADE)


def test_every_fact_is_told_and_none_that_is_not_there() -> None:
    row_of = generator()["row_of"]
    assert {row_of(slot) for slot in SLOTS} == generator()["facts"]().keys()


def test_every_count_is_told_and_none_that_is_not_there() -> None:
    row_of = generator()["mark_row_of"]
    assert {row_of(name) for name in COUNTED} == generator()["marks"]().keys()


def prose(page: Path) -> str:
    """A page without code, and without its link to the other language."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`|^\[(?:简体中文|English)\]\(.*\)$|^- `\w+`: .*$|“[^”]*”", "", text, flags=re.MULTILINE)


def by_path(page: Path) -> str:
    return str(page.relative_to(DOCS.parent))


@pytest.mark.parametrize("page", [page for page in READ if page.parent.name != "adr"], ids=by_path)
def test_a_page_has_one_language(page: Path) -> None:
    lines = prose(page).splitlines()
    if page.name.endswith(".zh.md"):
        words = [line for line in lines if re.search(r"[A-Za-z]{3,} [a-z]{3,} [a-z]{3,} [a-z]{3,}", line)]
        assert words == []
        assert HAN.search("".join(lines[:10]))
    else:
        assert [line for line in lines if HAN.search(line) and not re.search(r"加签|双11", line)] == []


@pytest.mark.parametrize("page", READ, ids=by_path)
def test_a_page_leads_to_its_other_language(page: Path) -> None:
    chinese = page.name.endswith(".zh.md")
    if page.parent.name == "adr" or page.name in ENGLISH_ONLY:
        return
    other = page.name.replace(".zh.md", ".md") if chinese else page.name.replace(".md", ".zh.md")
    assert (page.parent / other).exists()
    assert f"[{'English' if chinese else '简体中文'}]({other})" in page.read_text(encoding="utf-8").split("\n")[2]


@pytest.mark.parametrize("page", ["features", "state", "events", "settings", "metrics"])
def test_both_languages_have_the_same_rows(page: str) -> None:
    rows = [
        re.findall(
            r"^\| `([\w.]+)`", (DOCS / "reference" / f"{page}{suffix}").read_text(encoding="utf-8"), re.MULTILINE
        )
        for suffix in (".md", ".zh.md")
    ]
    assert len(rows[0]) > 20
    assert rows[0] == rows[1]


def test_every_metric_has_its_chinese_words_and_nothing_else_has() -> None:
    groups = generator()["about_metrics"](generator()["TITLES"])["groups"]
    names = [one.name for described in groups.values() for one in described]
    assert sorted(set(names)) == sorted(generator()["metrics_zh"]())


def test_every_class_of_metrics_has_a_place_on_the_pages() -> None:
    classes = {kind for kinds in SERVICES.values() for kind in kinds}
    assert classes == set(generator()["TITLES"]) == set(generator()["TITLES_ZH"])


def test_every_feature_has_a_row() -> None:
    text = (DOCS / "reference" / "features.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == [feature.name for feature in FEATURES]


@pytest.mark.parametrize(("horizon", "every", "lateness"), [(60, 7, 1), (14, 2, 0), (10, 10, 7), (30, 1, 3)])
def test_no_customer_has_more_waiting_decisions_or_bytes_than_the_page_says(
    horizon: int, every: int, lateness: int
) -> None:
    settings = Settings(
        horizon=horizon * DAY_US, decide_every=every * DAY_US, lateness=lateness * DAY_US, active_window=90 * DAY_US
    )
    sizes = generator()["Sizes"](settings)
    partition, churn_model = PartitionProcessor(settings), ChurnModel(settings.horizon, settings.decide_every, 1)
    waiting, stored = [], []
    for hour in range(0, 150 * 24, 12):
        at: datetime = EPOCH + timedelta(hours=hour)
        partition.apply(Order(event_id=str(hour), customer_id="c", occurred_at=at), hour * DAY_US // 24)
        waiting.append(len(partition.customers["c"].waiting))
        partition.finish(churn_model)
        stored.append(len(encode_customers(partition.working_set.take_changed(), partition.ranking)[0]))
    assert max(waiting) <= sizes.waiting
    assert max(waiting) >= sizes.waiting - 2  # the bound is not idle
    assert max(stored) <= sizes.total


def targets(page: Path) -> list[str]:
    """Where a page's links lead, but for those out into the world."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [
        link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http:", "https:", "mailto:"))
    ]


@pytest.mark.parametrize("page", READ, ids=by_path)
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in targets(page) if link.split("#")[0] and not (page.parent / link.split("#")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("lang", ["", ".zh"])
def test_the_index_names_every_page(lang: str) -> None:
    linked = {(DOCS / link.split("#")[0]).resolve() for link in targets(DOCS / f"README{lang}.md")}
    chinese = [page for page in PAGES if page.name.endswith(".zh.md")]
    translated = {page.with_name(page.name.replace(".zh.md", ".md")) for page in chinese}
    wanted = {page for page in PAGES if page not in (translated if lang else chinese)}
    assert {page for page in wanted if page.parent.name != "adr" and not page.name.startswith("README")} <= linked


def test_every_page_that_the_product_names_is_there() -> None:
    named = {
        (found, str(path.relative_to(DOCS.parent)))
        for folder in ("stream_app", "grafana", "prometheus", "deploy", "benchmarks")
        for path in (DOCS.parent / folder).rglob("*")
        if path.suffix in {".py", ".toml", ".yaml", ".yml", ".json", ".lua"}
        for found in re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert sorted(one for one in named if not (DOCS.parent / one[0]).exists()) == []


def test_the_readme_fits_on_a_few_screens() -> None:
    for name in ("README.md", "README.zh.md"):
        assert len((DOCS.parent / name).read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", ["playbook.md", "playbook.zh.md"])
def test_every_value_that_a_template_sees_is_told(page: str) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    names = [f"`alert.{field.name}`" for field in fields(AlertView)] + [
        f"`budget.{field.name}`" for field in fields(SizeBudget)
    ]
    assert [name for name in names if name not in text] == []


def test_the_example_of_a_playbook_can_be_used() -> None:
    playbook = load_playbook(DOCS / "templates" / "playbook.example.yaml")
    assert playbook.measure("price", "one_time").steps[0].en.startswith("Say what the goods cost")

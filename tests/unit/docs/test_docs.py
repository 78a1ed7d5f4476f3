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
from stream_app.metrics import SERVICES
from stream_app.notifications.messages.alert_view import AlertView
from stream_app.notifications.messages.size_budget import SizeBudget
from stream_app.notifications.playbook.playbook import load_playbook

DOCS = Path(__file__).parents[3] / "docs"
MADE = [
    "schema/events.schema.json",
    "schema/asyncapi.json",
    "events.md",
    "features.md",
    "state.md",
    "settings.md",
    "metrics.md",
    "metrics.zh.md",
    "playbook.md",
    "playbook.zh.md",
    "causes.md",
    "../deploy/kafka-acls.sh",
    "../deploy/redis-users.acl",
]


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


@pytest.mark.parametrize("page", ["features.md", "state.md", "events.md", "settings.md", "metrics.zh.md"])
def test_every_row_speaks_both_languages(page: str) -> None:
    rows = re.findall(r"^\| `[\w.]+`.*\|$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"[\u4e00-\u9fff]", row)] == []


def test_every_metric_has_its_chinese_words_and_nothing_else_has() -> None:
    groups = generator()["about_metrics"](generator()["TITLES"])["groups"]
    names = [one.name for described in groups.values() for one in described]
    assert sorted(set(names)) == sorted(generator()["metrics_zh"]())


def test_every_class_of_metrics_has_a_place_on_the_pages() -> None:
    classes = {kind for kinds in SERVICES.values() for kind in kinds}
    assert classes == set(generator()["TITLES"]) == set(generator()["TITLES_ZH"])


def test_every_feature_has_a_row() -> None:
    text = (DOCS / "features.md").read_text(encoding="utf-8")
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
        partition.take(Order(event_id=str(hour), customer_id="c", occurred_at=at), hour * DAY_US // 24)
        waiting.append(len(partition.customers["c"].waiting))
        partition.finish(churn_model)
        stored.append(len(encode_customers(partition.touched(), partition.ranking)[0]))
    assert max(waiting) <= sizes.waiting
    assert max(waiting) >= sizes.waiting - 2  # the bound is not idle
    assert max(stored) <= sizes.total


def targets(page: Path) -> list[str]:
    """Where a page's links lead, but for those out into the world."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [
        link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http:", "https:", "mailto:"))
    ]


@pytest.mark.parametrize(
    "page",
    [page for page in sorted(DOCS.rglob("*.md")) if page.name != "template.md"],
    ids=lambda page: str(page.relative_to(DOCS)),
)
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [link for link in targets(page) if link.split("#")[0] and not (page.parent / link.split("#")[0]).exists()]
    assert missing == []


def test_the_index_names_every_page() -> None:
    linked = set(targets(DOCS / "README.md"))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= linked


@pytest.mark.parametrize("page", ["tour.md", "tour.zh.md", "model.md"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:stream_app|tests|docs|benchmarks)/[\w./-]*)`", text))
    assert named
    assert [name for name in sorted(named) if not (DOCS.parent / name).exists()] == []


@pytest.mark.parametrize("page", ["playbook.md", "playbook.zh.md"])
def test_every_value_that_a_template_sees_is_told(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    names = [f"`alert.{field.name}`" for field in fields(AlertView)] + [
        f"`budget.{field.name}`" for field in fields(SizeBudget)
    ]
    assert [name for name in names if name not in text] == []


def test_the_example_of_a_playbook_can_be_used() -> None:
    playbook = load_playbook(DOCS / "templates" / "playbook.example.yaml")
    assert playbook.measure("price", "one_time").steps[0].en.startswith("Say what the goods cost")

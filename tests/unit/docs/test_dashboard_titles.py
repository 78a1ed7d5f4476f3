"""The panels and log lines that the runbook and its neighbours cite exist under these names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stream_app.i18n import LANGUAGES, catalogue
from tests.conftest import PROJECT

PAGES = ("runbook", "how-to/scale-workers", "reference/dashboards")
CITING = [
    (PROJECT / "docs" / f"{page}{'.zh' if lang == 'zh' else ''}.md", lang) for page in PAGES for lang in LANGUAGES
]
NO_TITLES = {"i", "no partition is assigned"}  # the icon of a description; an answer of /readyz


def texts(table: Mapping[str, Any]) -> Iterator[str]:
    for value in table.values():
        yield from [value] if isinstance(value, str) else texts(value)


@cache
def product() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((PROJECT / "stream_app").rglob("*.py")))


@pytest.mark.parametrize(("page", "lang"), CITING, ids=lambda one: getattr(one, "name", one))
def test_a_cited_panel_or_column_has_this_title(page: Path, lang: str) -> None:
    cited = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", page.read_text(encoding="utf-8")))
    assert sorted(cited - NO_TITLES - set(texts(catalogue(lang, "dashboards")))) == []


@pytest.mark.parametrize(("page", "lang"), CITING, ids=lambda one: getattr(one, "name", one))
def test_a_cited_log_line_is_written_by_the_product(page: Path, lang: str) -> None:
    spans = re.findall(r"`([A-Z][a-z]+(?: [a-z]+)+)`", page.read_text(encoding="utf-8"))
    assert [span for span in spans if span not in product()] == []

"""The comparison of contact policies: what it says, and as a page."""

from __future__ import annotations

from typing import Any

import pytest

from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.i18n import Translator
from stream_app.report.trial import Comparison, excluded_table, figure_table, headline, segment_table
from stream_app.report.trial_page import render_trial

SHOP = Settings(horizon=30 * DAY_US, lost_after=90 * DAY_US, act_before=20 * DAY_US, rank_by="worth")


def figures(people: int, money: float, **more: Any) -> dict[str, Any]:
    total = {"calls": 2 * people, "people": people, "money": money}
    base = {"lost": 200, "lost_money": 1000.0, "since": "2024-05-03", "until": "2024-10-26", "currency": "GBP"}
    return base | {
        "total": total,
        "repeats": 3,
        "break_even": None,
        "segments": {"vip": total},
        "suppressed": {"cooldown": 5},
        **more,
    }


def compared(*found: dict[str, Any], names: tuple[str, ...] = ("old.yaml", "new.yaml")) -> Comparison:
    rules = [("capacity.reserve", "0", "1")] if len(found) == 2 else []
    return Comparison(names[: len(found)], found, SHOP, ["shop.jsonl"], rules)


def cells(row: list[Any]) -> list[str]:
    return [cell if isinstance(cell, str) else cell.text for cell in row]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((figures(50, 400.0), figures(60, 500.0)), "new.yaml reaches most: 50.0% of the money"),
        ((figures(50, 400.0), figures(60, 400.1)), "All policies reach 40.0% of the money"),
        ((figures(50, 400.0),), "old.yaml reaches 40.0% of the money"),
        ((figures(50, 0.0, lost_money=0.0), figures(60, 0.0, lost_money=0.0)), "30.0% of the lost customers in time"),
    ],
    ids=["better", "equal", "one", "no amounts"],
)
def test_the_headline_names_the_policy_that_reaches_most(found: tuple[dict[str, Any], ...], said: str) -> None:
    assert said in headline(compared(*found), Translator("en", "report"))


def test_two_policies_are_compared_by_their_differences() -> None:
    page = compared(figures(50, 400.0), figures(60, 300.0, suppressed={"quota": 7}, break_even=0.02))
    words = Translator("en", "report")
    rows = {row[0]: row[1:] for row in map(cells, figure_table(page, words).rows)}
    assert rows["Lost customers reached in time"] == ["50", "60", "+10"]
    assert rows["– of that of all lost customers"] == ["40.0%", "30.0%", "−10.0 points"]
    assert rows["Monthly worth reached per call"] == ["£4", "£2", "−£2"]
    assert rows["Further calls in the same silence"] == ["3", "3", "0"]
    assert rows["Chance to help at which the calls pay"] == ["–", "2.0%", ""]
    assert [cells(row)[1:] for row in excluded_table(page, words).rows] == [["5", "0", "−5"], ["0", "7", "+7"]]
    assert cells(segment_table(page, words).rows[0]) == ["VIP", "100 · 50 · £400", "120 · 60 · £300"]


def test_the_page_is_complete_in_both_languages_and_loads_nothing() -> None:
    page = compared(figures(50, 400.0), figures(60, 500.0), names=("<old>.yaml", "new.yaml"))
    english, chinese = (render_trial(page, lang) for lang in ("en", "zh"))
    for text in (english, chinese):
        assert "<old>" not in text
        assert "&lt;old&gt;.yaml" in text
        assert "http" not in text.replace("http://www.w3.org/", "")
        assert text.count("<svg") == 4  # two charts in two widths
        assert "capacity.reserve" in text
    assert "Who was not called" in english
    assert "哪些客户未外呼" in chinese

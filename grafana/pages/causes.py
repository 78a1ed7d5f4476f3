"""*Causes and alerts*, for service leads: whom the staff should reach, why they leave, and what came of it."""

from __future__ import annotations

from typing import Final

from grafana.asking import Asking
from grafana.page import Page, Variable
from grafana.panels import BLUE, Column, Measure, Names, Style

VARIABLES: Final = (
    Variable("shop", "label_values(churn_open_episodes, shop)"),
    Variable("cause", "label_values(churn_open_episodes, cause)"),
)
CAUSES: Final = Names("causes")
OUTCOMES: Final = Names("closings", {"returned": "green", "fell": "light-green", "lost": "text"})
_SHOP: Final = Asking('shop=~"$shop"')
_ASK: Final = Asking('shop=~"$shop",cause=~"$cause"')

PEOPLE: Final = Measure("short", BLUE, decimals=0)
PERCENT: Final = Measure("percentunit", BLUE, decimals=1)


def page(lang: str) -> Page:
    """The page in a language."""
    made = Page("causes", lang, VARIABLES, since="now-7d", refresh="1m")
    _at_a_glance(made)
    _causes(made)
    _outcomes(made)
    return made


def _closed(reason: str) -> str:
    return _SHOP.gained("churn_episodes_closed_total", more=f'reason="{reason}"')


def _at_a_glance(page: Page) -> None:
    page.number("open", _ASK.total("churn_open_episodes"), PEOPLE)
    page.number("opened", _ASK.gained("churn_episodes_opened_total"), PEOPLE)
    page.number("returned", _closed("returned"), Measure("short", "green", decimals=0))
    page.number("lost", _closed("lost"), PEOPLE)
    share = f"{_closed('returned')} / ({_SHOP.gained('churn_episodes_closed_total')} > 0)"
    page.number("returned_share", share, PERCENT)
    suppressed = "sum(increase(churn_nominations_suppressed_total[$__range]))"
    page.number("suppressed", suppressed, PEOPLE)


def _causes(page: Page) -> None:
    page.row("causes")
    page.bars(
        "open_by_cause",
        {"{{cause}}": f"sort_desc({_ASK.total('churn_open_episodes', 'cause')} > 0)"},
        PEOPLE, 12, 10, CAUSES,
    )  # fmt: skip
    page.bars(
        "complaints",
        {"{{category}}": f"sort_desc({_SHOP.gained('churn_complaints_total', 'category')} > 0)"},
        PEOPLE, 12, 10, Names("categories"),
    )  # fmt: skip
    page.trend(
        "open_course",
        {"{{cause}}": f"{_ASK.total('churn_open_episodes', 'cause')} > 0"},
        PEOPLE,
        12,
        Style.STACKED,
        CAUSES,
    )
    rate = {
        "{{cause}}": f"sum by (cause) (increase({_ASK.series('churn_episodes_opened_total')}[$__rate_interval])) > 0"
    }
    page.trend("opened_course", rate, PEOPLE, 12, Style.STACKED, CAUSES)


def _outcomes(page: Page) -> None:
    page.row("outcomes")
    closed = f"sum by (reason) (increase({_SHOP.series('churn_episodes_closed_total')}[$__rate_interval]))"
    page.trend("closed", {"{{reason}}": closed}, PEOPLE, 12, Style.STACKED, OUTCOMES)
    suppressed = "sum by (reason) (increase(churn_nominations_suppressed_total[$__rate_interval]))"
    page.trend("suppressed_course", {"{{reason}}": suppressed}, PEOPLE, 12, Style.STACKED, Names("suppressions"))
    page.table(
        "table",
        [
            Column("cause", name="cause", named="causes"),
            Column("open", query=f"{_ASK.total('churn_open_episodes', 'cause')} > 0", measure=PEOPLE),
            Column("opened", query=f"{_ASK.gained('churn_episodes_opened_total', 'cause')} > 0", measure=PEOPLE),
            Column(
                "share",
                query=f"{_ASK.gained('churn_episodes_opened_total', 'cause')}"
                f" / scalar({_ASK.gained('churn_episodes_opened_total')}) > 0",
                measure=PERCENT,
            ),
        ],
    )

"""*Churn today*, for managers: how many customers leave, how many are at risk, and where the shop loses them."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from grafana.page import Page, Variable
from grafana.panels import COUNT, PERCENT, Column, Measure, Names, Style
from grafana.queries import Queries

VARIABLES: Final = (
    Variable("shop", "label_values(churn_buyers, shop)"),
    Variable("segment", named="segments"),
)
FUNNEL: Final = ("browse", "favourite", "cart", "checkout", "order", "paid", "delivered")
BANDS: Final = Names("bands", {"low": "green", "medium": "yellow", "high": "orange", "very_high": "red"})
STAGES: Final = Names(
    "stages",
    {
        "stable": "dark-green",
        "growing": "light-green",
        "new": "light-blue",
        "one_time": "blue",
        "declining": "orange",
        "lost": "text",
    },
)
SEGMENTS: Final = Names(
    "segments",
    {
        "loyal": "dark-green",
        "vip": "purple",
        "growing": "light-green",
        "one_time": "blue",
        "price_sensitive": "yellow",
        "declining": "orange",
        "complaining": "red",
        "unknown": "text",
    },
)
_ALL: Final = Queries('shop=~"$shop"')
_CHOSEN: Final = Queries('shop=~"$shop",segment=~"$segment"')  # metrics with a segment label
_CURRENT: Final = 'month="current"'
_LIKELY: Final = 'band=~"high|very_high"'


def page(lang: str) -> Page:
    """Return the page in a language."""
    made = Page("churn_today", lang, VARIABLES, since="now-24h", refresh="1m")
    for add_section in (_at_a_glance, _customers, _funnel, _money):
        add_section(made)
    return made


def _churn_rate(month: str, by: str = "") -> str:
    return _ALL.ratio("churn_month_lost_customers", "churn_month_start_customers", f'month="{month}"', by)


def _each(metric: str, label: str, values: tuple[str, ...]) -> dict[str, str]:
    """Return a query per value, so that the areas are stacked in this order, the first at the bottom."""
    queries = _ALL if metric == "churn_stage_customers" else _CHOSEN
    return {value: queries.total(metric, more=f'{label}="{value}"') for value in values}


def _an_hour(metric: str, label: str) -> str:
    return f"{_ALL.rate(metric, label)} * 3600"


def _likely_share(by: str = "") -> str:
    likely, all_scored = (
        _CHOSEN.total("churn_risk_customers", by, _LIKELY),
        _CHOSEN.total("churn_risk_customers", by),
    )
    return f"{likely} / ({all_scored} > 0)"


def _conversion(over: str) -> str:
    return _ALL.share("churn_daily_buyers_total", "churn_visitors_total", over)


def _bounces(over: str) -> str:
    return f"1 - {_ALL.share('churn_visits_continued_total', 'churn_visits_total', over)}"


def _left_in_carts(over: str) -> str:
    """Return the value of unpaid carts, at least 0, since prices may rise between cart and payment."""
    in_carts, paid = (
        _ALL.increase("churn_funnel_amount_total", more=f'step="{step}"', over=over) for step in ("cart", "paid")
    )
    return f"clamp_min({in_carts} - {paid}, 0)"


def _at_a_glance(page: Page) -> None:
    page.number("churn_rate", _churn_rate("current"), PERCENT)
    page.number("lost", _ALL.total("churn_month_lost_customers", more=_CURRENT), COUNT)
    page.number("likely", _ALL.total("churn_risk_customers", more=_LIKELY), COUNT)
    page.number("open", _CHOSEN.total("churn_open_alerts"), COUNT)
    page.number("inactive", _ALL.ratio("churn_inactive_buyers", "churn_buyers"), PERCENT)
    page.number("repurchase", _ALL.ratio("churn_repeat_buyers", "churn_buyers"), PERCENT)


def _customers(page: Page) -> None:
    page.row("customers")
    bands = _each("churn_risk_customers", "band", ("very_high", "high", "medium", "low"))
    page.trend("bands", bands, COUNT, 8, Style.STACKED, BANDS)
    stages = _each("churn_stage_customers", "stage", tuple(STAGES.colours))
    page.trend("stages", stages, COUNT, 8, Style.STACKED, STAGES)
    page.trend("churn_course", {"current": _churn_rate("current"), "previous": _churn_rate("previous")}, PERCENT)
    page.trend(
        "month",
        {
            "lost": _ALL.total("churn_month_lost_customers", more=_CURRENT),
            "returned": _ALL.total("churn_month_returned_customers", more=_CURRENT),
        },
        COUNT,
    )
    page.trend(
        "shares",
        {
            "likely": _likely_share(),
            "inactive": _ALL.ratio("churn_inactive_buyers", "churn_buyers"),
            "repurchase": _ALL.ratio("churn_repeat_buyers", "churn_buyers"),
        },
        PERCENT,
    )
    page.bars(
        "complaints",
        {"{{category}}": f"sort_desc({_ALL.increase('churn_complaints_total', 'category')} > 0)"},
        COUNT,
        names=Names("categories"),
    )
    segments = _each("churn_segment_customers", "segment", tuple(one for one in SEGMENTS.colours if one != "unknown"))
    page.trend("segments", segments, COUNT, 8, Style.STACKED, SEGMENTS)
    buyers, open_now = (_CHOSEN.total(one, "segment") for one in ("churn_segment_customers", "churn_open_alerts"))
    page.table(
        "by_segment",
        [
            Column("segment", name="segment", named="segments"),
            Column("buyers", query=buyers, measure=COUNT),
            Column("scored", query=_CHOSEN.total("churn_risk_customers", "segment"), measure=COUNT),
            Column("likely", query=_likely_share("segment"), measure=PERCENT),
            Column("open", query=f"{open_now} or 0 * {buyers}", measure=COUNT),
        ],
        16,
        largest="buyers",
    )


def _funnel(page: Page) -> None:
    page.row("funnel")
    steps = {f"step_{step}": _ALL.increase("churn_funnel_steps_total", more=f'step="{step}"') for step in FUNNEL}
    page.bars("funnel", steps, COUNT)
    losses = {
        f"after_{before}": f"clamp_min(1 - {_ALL.share(_step(after), _step(before))}, 0)"
        for before, after in pairwise(("browse", "cart", "checkout", "order", "paid", "delivered"))
    }
    page.bars("losses", losses, PERCENT)
    hour = "$__rate_interval"
    page.trend(
        "rates",
        {
            "conversion": _conversion(hour),
            "bounce": _bounces(hour),
            "favourite": _ALL.share(_step("favourite"), "churn_page_views_total", hour),
            "cart": _ALL.share(_step("cart"), "churn_page_views_total", hour),
        },
        PERCENT,
    )


def _step(step: str) -> str:
    return f'churn_funnel_steps_total{{step="{step}"}}'


def _money(page: Page) -> None:
    page.row("money")
    page.number("revenue", _ALL.increase("churn_revenue_amount_total"), COUNT)
    page.number("visitors", _ALL.increase("churn_visitors_total"), COUNT)
    page.number("conversion", _conversion("$__range"), PERCENT)
    page.number("visitor_value", _ALL.share("churn_revenue_amount_total", "churn_visitors_total"), Measure("short"))
    page.number("left_in_carts", _left_in_carts("$__range"), COUNT)
    page.number("bounce", _bounces("$__range"), PERCENT)
    page.trend("orders", {"{{kind}}": _an_hour("churn_orders_total", "kind")}, COUNT, 12, Style.STACKED, Names("kinds"))
    page.trend(
        "checkout_losses",
        {"{{reason}}": _an_hour("churn_checkout_losses_total", "reason")},
        COUNT,
        12,
        Style.STACKED,
        Names("checkout"),
    )
    page.table(
        "shops",
        [
            Column("shop", name="shop"),
            Column("buyers", query=_ALL.total("churn_buyers", "shop"), measure=COUNT),
            Column("churn_rate", query=_churn_rate("current", "shop"), measure=PERCENT),
            Column("likely", query=_likely_share("shop"), measure=PERCENT),
            Column("repurchase", query=_ALL.ratio("churn_repeat_buyers", "churn_buyers", by="shop"), measure=PERCENT),
            Column("open", query=_CHOSEN.total("churn_open_alerts", "shop"), measure=COUNT),
            Column("revenue", query=_ALL.increase("churn_revenue_amount_total", "shop"), measure=COUNT),
        ],
        height=6,
        largest="buyers",
    )

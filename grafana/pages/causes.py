"""*Causes and alerts*, for service leads: which customers to contact, why they leave, and the outcomes."""

from __future__ import annotations

from typing import Final

from grafana.page import Page, Variable
from grafana.panels import COUNT, GREEN, ORANGE, PERCENT, RED, Column, Measure, Names, Style
from grafana.queries import Queries

VARIABLES: Final = (
    Variable("shop", "label_values(churn_open_alerts, shop)"),
    Variable("cause", named="causes"),
    Variable("segment", named="segments"),
    Variable("channel", "label_values(churn_delivery_pending_records, channel)"),
)
CAUSES: Final = Names("causes")
OUTCOMES: Final = Names("closings", {"returned": "green", "fell": "light-green", "lost": "text"})
_SHOP: Final = Queries('shop=~"$shop"')
_CLOSED: Final = Queries('shop=~"$shop",segment=~"$segment"')  # closed alerts have no cause label
_ALL: Final = Queries('shop=~"$shop",cause=~"$cause",segment=~"$segment"')
_FOUND: Final = Queries('cause=~"$cause",segment=~"$segment"')  # outcomes have no shop label
_SENT: Final = Queries('channel=~"$channel"')
SENT: Final = 'outcome="sent"'
ORDERED: Final = 'outcome="ordered"'
ARMS: Final = Names("arms", {"treated": "green", "held_out": "text"})


def page(lang: str) -> Page:
    """Return the page in a language."""
    made = Page("causes", lang, VARIABLES, since="now-7d", refresh="1m")
    for add_section in (_at_a_glance, _causes, _outcomes, _holdout, _delivery):
        add_section(made)
    return made


def _closed(reason: str) -> str:
    return _CLOSED.increase("churn_alerts_closed_total", more=f'reason="{reason}"')


def _at_a_glance(page: Page) -> None:
    page.number("open", _ALL.total("churn_open_alerts"), COUNT)
    page.number("opened", _ALL.increase("churn_alerts_opened_total"), COUNT)
    page.number("returned", _closed("returned"), Measure("short", "green", decimals=0))
    page.number("lost", f"{_closed('lost')} or vector(0)", COUNT)  # planned calls expire before that
    share = f"{_closed('returned')} / ({_CLOSED.increase('churn_alerts_closed_total')} > 0)"
    page.number("returned_share", share, PERCENT)
    suppressed = "sum(increase(churn_alert_candidates_suppressed_total[$__range]))"
    page.number("suppressed", suppressed, COUNT)


def _causes(page: Page) -> None:
    page.row("causes")
    page.bars(
        "open_by_cause",
        {"{{cause}}": f"sort_desc({_ALL.total('churn_open_alerts', 'cause')} > 0)"},
        COUNT, 10, 10, CAUSES,
    )  # fmt: skip
    page.bars(
        "open_by_segment",
        {"{{segment}}": f"sort_desc({_ALL.total('churn_open_alerts', 'segment')} > 0)"},
        COUNT, 7, 10, Names("segments"),
    )  # fmt: skip
    page.bars(
        "complaints",
        {"{{category}}": f"sort_desc({_SHOP.increase('churn_complaints_total', 'category')} > 0)"},
        COUNT, 7, 10, Names("categories"),
    )  # fmt: skip
    page.trend(
        "open_course",
        {"{{cause}}": f"{_ALL.total('churn_open_alerts', 'cause')} > 0"},
        COUNT,
        12,
        Style.STACKED,
        CAUSES,
    )
    rate = {"{{cause}}": f"sum by (cause) (increase({_ALL.series('churn_alerts_opened_total')}[$__rate_interval])) > 0"}
    page.trend("opened_course", rate, COUNT, 12, Style.STACKED, CAUSES)


def _outcomes(page: Page) -> None:
    page.row("outcomes")
    closed = f"sum by (reason) (increase({_CLOSED.series('churn_alerts_closed_total')}[$__rate_interval]))"
    page.trend("closed", {"{{reason}}": closed}, COUNT, 12, Style.STACKED, OUTCOMES)
    suppressed = "sum by (reason) (increase(churn_alert_candidates_suppressed_total[$__rate_interval]))"
    page.trend("suppressed_course", {"{{reason}}": suppressed}, COUNT, 12, Style.STACKED, Names("suppressions"))
    page.table(
        "table",
        [
            Column("cause", name="cause", named="causes"),
            Column("open", query=f"{_ALL.total('churn_open_alerts', 'cause')} > 0", measure=COUNT),
            Column("opened", query=f"{_ALL.increase('churn_alerts_opened_total', 'cause')} > 0", measure=COUNT),
            Column(
                "share",
                query=f"{_ALL.increase('churn_alerts_opened_total', 'cause')}"
                f" / scalar({_ALL.increase('churn_alerts_opened_total')}) > 0",
                measure=PERCENT,
            ),
        ],
        16,
        largest="open",
    )
    found = _FOUND.increase("churn_alert_outcomes_total", "outcome")
    page.bars("found", {"{{outcome}}": f"sort_desc({found} > 0)"}, COUNT, names=Names("staff_outcomes"))
    for key in ("first", "three"):
        query = f"max by (bound) (churn_quality_cause_{key}_ratio)"
        page.trend(f"named_{key}", {"{{bound}}": query}, PERCENT, 12, names=Names("bounds"))


def _holdout(page: Page) -> None:
    page.row("holdout")
    all_shops, arms, ended = Queries(), "experiment, arm", "churn_holdout_outcomes_total"
    counted = all_shops.increase(ended, arms)
    share = f"{all_shops.increase(ended, arms, ORDERED)} / ({counted} > 0)"
    by_arm = f"{all_shops.increase(ended, 'arm', ORDERED)} / ({all_shops.increase(ended, 'arm')} > 0)"
    page.bars("arms_ordered", {"{{arm}}": by_arm}, PERCENT, 8, names=ARMS)
    page.table(
        "arms",
        [
            Column("experiment", name="experiment"),
            Column("arm", name="arm", named=ARMS.of),
            Column("drawn", query=f"{all_shops.increase('churn_holdout_drawn_total', arms)} > 0", measure=COUNT),
            Column("counted", query=f"{counted} > 0", measure=COUNT),
            Column("share", query=share, measure=PERCENT),
        ],
        16,
        largest="drawn",
    )


def _delivery(page: Page) -> None:
    page.row("delivery")
    ended = "churn_deliveries_total"
    page.number("sent", _SENT.increase(ended, more=SENT), COUNT)
    page.number("pending", _SENT.total("churn_delivery_pending_records"), COUNT)
    late = Measure("s", GREEN, ((2 * 3_600, ORANGE), (12 * 3_600, RED)))
    page.number("oldest", f"max({_SENT.series('churn_delivery_oldest_pending_seconds')})", late)
    page.number("dead", "sum(churn_delivery_dead_records)", Measure("short", GREEN, ((1, RED),), decimals=0))
    page.number("held_back", _SENT.increase(ended, more='outcome="suppressed"'), COUNT)
    closed = Measure("short", GREEN, ((1, RED),), decimals=0)
    page.number("closed_channels", _SENT.total("churn_delivery_channel_disabled"), closed)
    page.trend(
        "sent_course",
        {"{{channel}}": f"sum by (channel) (increase({_SENT.series(ended, SENT)}[$__rate_interval]))"},
        COUNT, 8, Style.STACKED,
    )  # fmt: skip
    reasons = {"{{reason}}": "sum by (reason) (increase(churn_deliveries_suppressed_total[$__rate_interval]))"}
    page.trend("held_course", reasons, COUNT, 8, Style.STACKED, Names("held_back"))
    page.table(
        "channels",
        [
            Column("channel", name="channel"),
            Column("sent", query=_SENT.increase(ended, "channel", SENT), measure=COUNT),
            Column("pending", query=_SENT.total("churn_delivery_pending_records", "channel"), measure=COUNT),
            Column("oldest", query=_SENT.total("churn_delivery_oldest_pending_seconds", "channel"), measure=late),
            Column("gave_up", query=_SENT.increase(ended, "channel", 'outcome="dead"'), measure=COUNT),
            Column(
                "state",
                query=_SENT.total("churn_delivery_channel_disabled", "channel"),
                measure=closed,
                named="channel_states",
            ),
        ],
        width=8,
    )

"""*Causes and alerts*, for service leads: whom the staff should reach, why they leave, and what came of it."""

from __future__ import annotations

from typing import Final

from grafana.asking import Asking
from grafana.page import Page, Variable
from grafana.panels import BLUE, GREEN, ORANGE, RED, Column, Measure, Names, Style

VARIABLES: Final = (
    Variable("shop", "label_values(churn_open_alerts, shop)"),
    Variable("cause", named="causes"),
    Variable("segment", named="segments"),
    Variable("channel", "label_values(churn_delivery_pending_records, channel)"),
)
CAUSES: Final = Names("causes")
OUTCOMES: Final = Names("closings", {"returned": "green", "fell": "light-green", "lost": "text"})
_SHOP: Final = Asking('shop=~"$shop"')
_CLOSED: Final = Asking('shop=~"$shop",segment=~"$segment"')  # how a case ended bears no cause
_ASK: Final = Asking('shop=~"$shop",cause=~"$cause",segment=~"$segment"')
_FOUND: Final = Asking('cause=~"$cause",segment=~"$segment"')  # the staff's word bears no shop
_SENT: Final = Asking('channel=~"$channel"')
SENT: Final = 'outcome="sent"'

PEOPLE: Final = Measure("short", BLUE, decimals=0)
PERCENT: Final = Measure("percentunit", BLUE, decimals=1)


def page(lang: str) -> Page:
    """The page in a language."""
    made = Page("causes", lang, VARIABLES, since="now-7d", refresh="1m")
    _at_a_glance(made)
    _causes(made)
    _outcomes(made)
    _delivery(made)
    return made


def _closed(reason: str) -> str:
    return _CLOSED.gained("churn_alerts_closed_total", more=f'reason="{reason}"')


def _at_a_glance(page: Page) -> None:
    page.number("open", _ASK.total("churn_open_alerts"), PEOPLE)
    page.number("opened", _ASK.gained("churn_alerts_opened_total"), PEOPLE)
    page.number("returned", _closed("returned"), Measure("short", "green", decimals=0))
    page.number("lost", _closed("lost"), PEOPLE)
    share = f"{_closed('returned')} / ({_CLOSED.gained('churn_alerts_closed_total')} > 0)"
    page.number("returned_share", share, PERCENT)
    suppressed = "sum(increase(churn_alert_candidates_suppressed_total[$__range]))"
    page.number("suppressed", suppressed, PEOPLE)


def _causes(page: Page) -> None:
    page.row("causes")
    page.bars(
        "open_by_cause",
        {"{{cause}}": f"sort_desc({_ASK.total('churn_open_alerts', 'cause')} > 0)"},
        PEOPLE, 10, 10, CAUSES,
    )  # fmt: skip
    page.bars(
        "open_by_segment",
        {"{{segment}}": f"sort_desc({_ASK.total('churn_open_alerts', 'segment')} > 0)"},
        PEOPLE, 7, 10, Names("segments"),
    )  # fmt: skip
    page.bars(
        "complaints",
        {"{{category}}": f"sort_desc({_SHOP.gained('churn_complaints_total', 'category')} > 0)"},
        PEOPLE, 7, 10, Names("categories"),
    )  # fmt: skip
    page.trend(
        "open_course",
        {"{{cause}}": f"{_ASK.total('churn_open_alerts', 'cause')} > 0"},
        PEOPLE,
        12,
        Style.STACKED,
        CAUSES,
    )
    rate = {"{{cause}}": f"sum by (cause) (increase({_ASK.series('churn_alerts_opened_total')}[$__rate_interval])) > 0"}
    page.trend("opened_course", rate, PEOPLE, 12, Style.STACKED, CAUSES)


def _outcomes(page: Page) -> None:
    page.row("outcomes")
    closed = f"sum by (reason) (increase({_CLOSED.series('churn_alerts_closed_total')}[$__rate_interval]))"
    page.trend("closed", {"{{reason}}": closed}, PEOPLE, 12, Style.STACKED, OUTCOMES)
    suppressed = "sum by (reason) (increase(churn_alert_candidates_suppressed_total[$__rate_interval]))"
    page.trend("suppressed_course", {"{{reason}}": suppressed}, PEOPLE, 12, Style.STACKED, Names("suppressions"))
    page.table(
        "table",
        [
            Column("cause", name="cause", named="causes"),
            Column("open", query=f"{_ASK.total('churn_open_alerts', 'cause')} > 0", measure=PEOPLE),
            Column("opened", query=f"{_ASK.gained('churn_alerts_opened_total', 'cause')} > 0", measure=PEOPLE),
            Column(
                "share",
                query=f"{_ASK.gained('churn_alerts_opened_total', 'cause')}"
                f" / scalar({_ASK.gained('churn_alerts_opened_total')}) > 0",
                measure=PERCENT,
            ),
        ],
        16,
        largest="open",
    )
    found = _FOUND.gained("churn_alert_outcomes_total", "outcome")
    page.bars("found", {"{{outcome}}": f"sort_desc({found} > 0)"}, PEOPLE, names=Names("staff_outcomes"))


def _delivery(page: Page) -> None:
    page.row("delivery")
    ended = "churn_deliveries_total"
    page.number("sent", _SENT.gained(ended, more=SENT), PEOPLE)
    page.number("pending", _SENT.total("churn_delivery_pending_records"), PEOPLE)
    late = Measure("s", GREEN, ((2 * 3_600, ORANGE), (12 * 3_600, RED)))
    page.number("oldest", f"max({_SENT.series('churn_delivery_oldest_pending_seconds')})", late)
    page.number("dead", "sum(churn_delivery_dead_records)", Measure("short", GREEN, ((1, RED),), decimals=0))
    page.number("held_back", _SENT.gained(ended, more='outcome="suppressed"'), PEOPLE)
    closed = Measure("short", GREEN, ((1, RED),), decimals=0)
    page.number("closed_channels", _SENT.total("churn_delivery_channel_disabled"), closed)
    page.trend(
        "sent_course",
        {"{{channel}}": f"sum by (channel) (increase({_SENT.series(ended, SENT)}[$__rate_interval]))"},
        PEOPLE, 8, Style.STACKED,
    )  # fmt: skip
    reasons = {"{{reason}}": "sum by (reason) (increase(churn_deliveries_suppressed_total[$__rate_interval]))"}
    page.trend("held_course", reasons, PEOPLE, 8, Style.STACKED, Names("held_back"))
    page.table(
        "channels",
        [
            Column("channel", name="channel"),
            Column("sent", query=_SENT.gained(ended, "channel", SENT), measure=PEOPLE),
            Column("pending", query=_SENT.total("churn_delivery_pending_records", "channel"), measure=PEOPLE),
            Column("oldest", query=_SENT.total("churn_delivery_oldest_pending_seconds", "channel"), measure=late),
            Column("gave_up", query=_SENT.gained(ended, "channel", 'outcome="dead"'), measure=PEOPLE),
            Column(
                "state",
                query=_SENT.total("churn_delivery_channel_disabled", "channel"),
                measure=closed,
                named="channel_states",
            ),
        ],
        width=8,
    )

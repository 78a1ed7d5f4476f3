"""The evidence rules: a table of which customer behaviour is evidence for which cause of churn.

Each row gives the event fields it needs, the numbers it measures on a `CustomerProfile`, the thresholds at which the
evidence counts as present, and how common the evidence is among customers with and without each cause.
`docs/reference/causes.md` is generated from this table; `stream_app/i18n/` holds the text of each rule.
"""

from __future__ import annotations

from typing import Final

from stream_app.core.causes.catalogue import POOR_EXPERIENCE
from stream_app.core.causes.rule import EvidenceRule, Measure, Numbers, at_least, at_most
from stream_app.core.state.profile import CustomerProfile

UNSPLIT: Final = "complaint_of_any_kind"


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _counted(number: str, counter: str) -> Measure:
    return lambda c: {number: c.counter(counter)}


def _open(profile: CustomerProfile) -> Numbers:
    overdue = [days for days in profile.open_days if days >= profile.solve_days]
    complaints = max(profile.counter("complaints"), len(overdue))
    return {"complaints": complaints, "open": len(overdue), "days": max(overdue, default=0.0)}


def _discounts(profile: CustomerProfile) -> Numbers:
    paid, saved = profile.slot("money"), profile.slot("discount")
    return {
        "orders": profile.orders,
        "with_discount": _share(profile.slot("discounted"), profile.orders),
        "depth": _share(saved, paid + saved),
    }


def _late(profile: CustomerProfile) -> Numbers:
    late, hours = profile.counter("late"), profile.counter("late_hours")
    return {"parcels": late, "days": _share(hours, 24.0 * late), "rushed": profile.counter("rushed")}


EVIDENCE_RULES: Final = (
    # How long the customer has been silent: always listed first, but not evidence for any cause by itself.
    EvidenceRule(
        "silence",
        ("order",),
        lambda c: {"days": c.silent_days, "times": c.silent_days / max(c.usual_gap_days, 0.5)},
        (at_least("times", 0.0),),
    ),
    EvidenceRule(
        "silence_once", ("order",), lambda c: {"days": c.silent_days, "repeats": c.repeats}, (at_most("repeats", 0.0),)
    ),
    # forgot_shop, natural: no visit since the last order; the visit with the order may continue for a few minutes
    EvidenceRule(
        "no_visit",
        ("browsing",),
        lambda c: {
            "days": c.silent_days,
            "days_visited": max(c.slot("last_browsing") - c.slot("last_order"), 0.0),
        },
        (at_most("days_visited", 0.5),),
        {"forgot_shop": 0.75, "natural": 0.60},
        0.2,
        (at_least("days", 14.0),),
    ),
    EvidenceRule(
        "no_favourite",
        ("cart.favourite",),
        lambda c: {"favourites": c.slot("favourites"), "orders": c.orders},
        (at_most("favourites", 0.0),),
        {"forgot_shop": 0.98},
        0.58,
    ),
    # price
    EvidenceRule(
        "only_discounts",
        ("order.discount",),
        _discounts,
        (at_least("with_discount", 1.0),),
        {"price": 0.90},
        0.08,
        (at_least("orders", 2.0),),
    ),
    EvidenceRule("deep_discounts", ("order.discount",), _discounts, (at_least("depth", 0.20),), {"price": 0.80}, 0.02),
    EvidenceRule(
        "abandoned_after_price",
        ("cart.checkout_abandoned", "cart.price"),
        _counted("checkouts", "abandoned"),
        (at_least("checkouts", 1.0),),
        {"price": 0.90, "poor_site": 0.85},
        0.08,
    ),
    EvidenceRule(
        "price_complaint",
        ("complaint.category",),
        _counted("complaints", "about_price"),
        (at_least("complaints", 1.0),),
        {"price": 0.15},
        0.01,
    ),
    # too_many_choices
    EvidenceRule(
        "carts_without_order",
        ("cart.add",),
        lambda c: {"carts": c.counter("adds") - c.counter("orders") - c.counter("abandoned")},
        (at_least("carts", 2.0),),
        {"too_many_choices": 0.75},
        0.06,
    ),
    EvidenceRule(
        "wandering",
        ("browsing.category", "browsing.session_id"),
        lambda c: {
            "categories": c.distinct("categories"),
            "views": c.counter("views") / max(c.distinct("sessions"), 1),
        },
        (at_least("categories", 6.0), at_least("views", 4.5)),
        {"too_many_choices": 0.80, "no_personal_fit": 0.85},
        0.06,
    ),
    EvidenceRule(
        "shrinking_orders",
        ("order.amount",),
        lambda c: {"orders": c.orders, "share": _share(c.slot("last_amount"), c.mean_amount)},
        (at_most("share", 0.6),),
        {"too_many_choices": 0.40},
        0.22,
        (at_least("orders", 3.0),),
    ),
    # product_quality
    EvidenceRule(
        "sent_back",
        ("order.returned",),
        lambda c: {"returns": max(c.counter("returned"), c.counter("refunded"))},
        (at_least("returns", 1.0),),
        {"product_quality": 0.70},
        0.03,
    ),
    EvidenceRule(
        "quality_complaint",
        ("complaint.category",),
        _counted("complaints", "about_quality"),
        (at_least("complaints", 1.0),),
        {"product_quality": 0.90, "unresolved_complaint": 0.25},
        0.04,
    ),
    EvidenceRule(
        "low_rating",
        ("complaint.rating",),
        _counted("ratings", "low_ratings"),
        (at_least("ratings", 1.0),),
        {"product_quality": 0.55},
        0.015,
    ),
    # logistics
    EvidenceRule(
        "late_parcel",
        ("order.promised_at", "order.delivered_at"),
        _late,
        (at_least("parcels", 1.0), at_most("rushed", 0.0)),
        {"logistics": 0.95},
        0.07,
    ),
    EvidenceRule(
        "logistics_complaint",
        ("complaint.category",),
        _counted("complaints", "about_logistics"),
        (at_least("complaints", 1.0),),
        {"logistics": 0.75, "unresolved_complaint": 0.25},
        0.015,
    ),
    # service
    EvidenceRule(
        "slow_answer",
        ("complaint.answered",),
        lambda c: {"hours": c.answer_hours},
        (at_least("hours", 24.0),),
        {"service": 0.45, "unresolved_complaint": 0.60},
        0.01,
    ),
    EvidenceRule(
        "reopened",
        ("complaint.reopened",),
        _counted("complaints", "reopened"),
        (at_least("complaints", 1.0),),
        {"service": 0.60},
        0.01,
    ),
    EvidenceRule(
        "service_complaint",
        ("complaint.category",),
        _counted("complaints", "about_service"),
        (at_least("complaints", 1.0),),
        {"service": 0.95, "unresolved_complaint": 0.25},
        0.015,
    ),
    # unresolved_complaint
    EvidenceRule(
        "open_complaint",
        ("complaint.resolved",),
        _open,
        (at_least("open", 1.0),),
        {"unresolved_complaint": 0.95},
        0.01,
    ),
    EvidenceRule(
        "refund_complaint",
        ("complaint.category",),
        _counted("complaints", "about_refund"),
        (at_least("complaints", 1.0),),
        {"unresolved_complaint": 0.25},
        0.005,
    ),
    # broken_promise
    EvidenceRule(
        "short_promise_late",
        ("order.promised_at", "order.delivered_at"),
        _late,
        (at_least("parcels", 1.0), at_least("rushed", 1.0)),
        {"broken_promise": 0.90},
        0.01,
    ),
    EvidenceRule(
        "promise_complaint",
        ("complaint.category",),
        _counted("complaints", "about_promise"),
        (at_least("complaints", 1.0),),
        {"broken_promise": 0.80},
        0.015,
    ),
    # the family of the five above: something went wrong, but the events do not show what
    EvidenceRule(
        UNSPLIT,
        ("complaint",),
        _counted("complaints", "about_other"),
        (at_least("complaints", 1.0),),
        dict.fromkeys(POOR_EXPERIENCE, 0.30),
        0.03,
        (at_least("complaints", 1.0),),  # a complaint about something else is not evidence against these causes
    ),
    # habit_change
    EvidenceRule(
        "growing_gaps",
        ("order",),
        lambda c: {"times": c.frame.last_gap[0] / max(c.frame.mean_gap[0], 0.5), "repeats": c.repeats},
        (at_least("times", 1.3),),
        {"habit_change": 0.50},
        0.3,
        (at_least("repeats", 3.0),),
    ),
    # poor_site
    EvidenceRule(
        "slow_pages",
        ("browsing.load_seconds",),
        lambda c: {
            "pages": c.counter("slow_pages"),
            "share": _share(c.counter("slow_pages"), c.counter("views")),
        },
        (at_least("pages", 3.0), at_least("share", 0.15)),
        {"poor_site": 0.95},
        0.01,
    ),
    EvidenceRule(
        "empty_searches",
        ("browsing.search_results",),
        _counted("searches", "empty_searches"),
        (at_least("searches", 1.0),),
        {"poor_site": 0.70},
        0.07,
    ),
    EvidenceRule(
        "payment_failures",
        ("cart.payment_failed",),
        _counted("payments", "payment_failures"),
        (at_least("payments", 1.0),),
        {"poor_site": 0.80},
        0.03,
    ),
    EvidenceRule(
        "site_complaint",
        ("complaint.category",),
        _counted("complaints", "about_site"),
        (at_least("complaints", 1.0),),
        {"poor_site": 0.20},
        0.005,
    ),
    # out_of_stock
    EvidenceRule(
        "unavailable",
        ("browsing.available",),
        lambda c: {
            "views": c.counter("unavailable"),
            "share": _share(c.counter("unavailable"), c.counter("views")),
        },
        (at_least("views", 2.0), at_least("share", 0.10)),
        {"out_of_stock": 0.95},
        0.02,
    ),
    EvidenceRule(
        "stock_complaint",
        ("complaint.category",),
        _counted("complaints", "about_stock"),
        (at_least("complaints", 1.0),),
        {"out_of_stock": 0.20},
        0.005,
    ),
    # no_personal_fit
    EvidenceRule(
        "ignored_recommendations",
        ("browsing.recommended", "browsing.dwell_seconds"),
        lambda c: {"views": c.counter("brief"), "share": _share(c.counter("brief"), c.counter("views"))},
        (at_least("views", 3.0), at_least("share", 0.2)),
        {"no_personal_fit": 0.85},
        0.015,
    ),
    # ad_harassment
    EvidenceRule(
        "unsubscribed",
        ("complaint.unsubscribe",),
        _counted("times", "unsubscribes"),
        (at_least("times", 1.0),),
        {"ad_harassment": 0.80},
        0.015,
    ),
    EvidenceRule(
        "message_complaint",
        ("complaint.category",),
        _counted("complaints", "about_messages"),
        (at_least("complaints", 1.0),),
        {"ad_harassment": 0.45},
        0.01,
    ),
    EvidenceRule(
        "many_contacts",
        ("contact",),
        lambda c: {"contacts": c.contacts_per_week},
        (at_least("contacts", 2.0),),
        {"ad_harassment": 0.60},
        0.10,
    ),
    # privacy
    EvidenceRule(
        "privacy_complaint",
        ("complaint.category",),
        _counted("complaints", "about_privacy"),
        (at_least("complaints", 1.0),),
        {"privacy": 0.75},
        0.01,
    ),
    EvidenceRule(
        "payment_method_removed",
        ("cart.payment_method_removed",),
        _counted("times", "methods_removed"),
        (at_least("times", 1.0),),
        {"privacy": 0.95},
        0.015,
    ),
    # small_customer_neglect
    EvidenceRule(
        "small_orders",
        ("order.amount",),
        lambda c: {"orders": c.orders, "share": _share(c.mean_amount, c.shop.usual_amount)},
        (at_most("share", 0.5),),
        {"small_customer_neglect": 0.90},
        0.16,
        (at_least("orders", 2.0),),
    ),
    EvidenceRule(
        "no_member_benefit",
        ("order.member_benefit",),
        lambda c: {"orders": c.orders, "benefits": c.slot("member_benefits")},
        (at_most("benefits", 0.0),),
        {"small_customer_neglect": 0.95},
        0.35,
        (at_least("orders", 3.0),),
    ),
)

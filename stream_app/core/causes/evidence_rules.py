"""The signs by which causes of leaving show in a customer's events: one table, to be read and argued about.

A row says of a sign: which fields of the events it needs, what is measured, from where on it is there, and how often it
is seen with customers who leave for a cause, and with all others. `docs/causes.md` is made from this table, and
`stream_app/i18n/` says each sign in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from stream_app.core.causes.catalogue import POOR_EXPERIENCE
from stream_app.core.state.profile import CustomerProfile

Numbers = dict[str, float]
UNSPLIT: Final = "complaint_of_any_kind"
Measure = Callable[[CustomerProfile], Numbers]


@dataclass(frozen=True, slots=True)
class Threshold:
    """From where on a number of a sign counts."""

    number: str
    least: float | None = None
    most: float | None = None

    def holds(self, numbers: Mapping[str, float]) -> bool:
        """Whether the number lies within; NaN never does."""
        value = numbers[self.number]
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return f"{self.number} ≥ {self.least:g}" if self.most is None else f"{self.number} ≤ {self.most:g}"


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether a sign is there, and the numbers that are told of it."""

    there: bool
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One row of the table.

    Attributes:
        needs: the fields without which nothing can be said (shops.FIELDS).
        chances: by cause: how often it is seen with those who leave for it and whose events tell of it.
        otherwise: how often it is seen with all others.
        given: of whom the sign can be asked at all; of others its absence says nothing.
    """

    key: str
    needs: tuple[str, ...]
    measure: Measure
    thresholds: tuple[Threshold, ...]
    chances: Mapping[str, float] = field(default_factory=dict)
    otherwise: float = 1.0
    given: tuple[Threshold, ...] = ()

    def read(self, about: CustomerProfile) -> Reading | None:
        """What the sign says of a customer; None: nothing, as a field is never sent or it cannot be asked of him."""
        if not all(about.shop.sends(name) for name in self.needs):
            return None
        numbers = self.measure(about)
        if not all(threshold.holds(numbers) for threshold in self.given):
            return None
        return Reading(all(threshold.holds(numbers) for threshold in self.thresholds), numbers)


def at_least(number: str, value: float) -> Threshold:
    """A number that counts from a value on."""
    return Threshold(number, least=value)


def at_most(number: str, value: float) -> Threshold:
    """A number that counts up to a value."""
    return Threshold(number, most=value)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _counted(number: str, name: str) -> Measure:
    """The measure that is a count of marks.COUNTED, told under another name."""
    return lambda about: {number: about.count(name)}


# --- what is measured -------------------------------------------------------------------------------------------------


def _silence(about: CustomerProfile) -> Numbers:
    return {"days": about.silent_days, "times": about.silent_days / max(about.usual_gap_days, 0.5)}


def _silence_once(about: CustomerProfile) -> Numbers:
    return {"days": about.silent_days, "repeats": about.repeats}


def _no_visit(about: CustomerProfile) -> Numbers:
    """Of visits since the last order; one that ends with it goes on for minutes."""
    since = about.fact("last_browsing") - about.fact("last_order")
    return {"days": about.silent_days, "days_visited": max(since, 0.0)}


def _no_favourite(about: CustomerProfile) -> Numbers:
    return {"favourites": about.fact("favourites"), "orders": about.orders}


def _discounts(about: CustomerProfile) -> Numbers:
    paid, saved = about.fact("money"), about.fact("discount")
    return {
        "orders": about.orders,
        "with_discount": _share(about.fact("discounted"), about.orders),
        "depth": _share(saved, paid + saved),
    }


def _carts_without_order(about: CustomerProfile) -> Numbers:
    return {"carts": about.count("adds") - about.count("orders") - about.count("abandoned")}


def _wandering(about: CustomerProfile) -> Numbers:
    views, visits = about.count("views"), max(about.distinct("sessions"), 1)
    return {"categories": about.distinct("categories"), "views": views / visits}


def _shrinking(about: CustomerProfile) -> Numbers:
    return {"orders": about.orders, "share": _share(about.fact("last_amount"), about.mean_amount)}


def _late(about: CustomerProfile) -> Numbers:
    late = about.count("late")
    return {"parcels": late, "days": _share(about.count("late_hours"), 24.0 * late), "rushed": about.count("rushed")}


def _waiting(about: CustomerProfile) -> Numbers:
    return {"hours": about.answer_hours}


def _open(about: CustomerProfile) -> Numbers:
    overdue = [days for days in about.open_days if days >= about.solve_days]
    complaints = max(about.count("complaints"), len(overdue))
    return {"complaints": complaints, "open": len(overdue), "days": max(overdue, default=0.0)}


def _growing_gaps(about: CustomerProfile) -> Numbers:
    return {"times": about.view.last_gap[0] / max(about.view.mean_gap[0], 0.5), "repeats": about.repeats}


def _slow_pages(about: CustomerProfile) -> Numbers:
    pages = about.count("slow_pages")
    return {"pages": pages, "share": _share(pages, about.count("views"))}


def _unavailable(about: CustomerProfile) -> Numbers:
    views = about.count("unavailable")
    return {"views": views, "share": _share(views, about.count("views"))}


def _ignored(about: CustomerProfile) -> Numbers:
    brief = about.count("brief")
    return {"views": brief, "share": _share(brief, about.count("views"))}


def _contacts(about: CustomerProfile) -> Numbers:
    return {"contacts": about.contacts_a_week}


def _small_orders(about: CustomerProfile) -> Numbers:
    return {"orders": about.orders, "share": _share(about.mean_amount, about.shop.usual_amount)}


def _no_benefit(about: CustomerProfile) -> Numbers:
    return {"orders": about.orders, "benefits": about.fact("member_benefits")}


def _sent_back(about: CustomerProfile) -> Numbers:
    return {"returns": max(about.count("returned"), about.count("refunded"))}


# --- the table --------------------------------------------------------------------------------------------------------

EVIDENCE_RULES: Final = (
    # How long he has been silent: always told first, and speaks for no cause by itself.
    EvidenceRule("silence", ("order",), _silence, (at_least("times", 0.0),)),
    EvidenceRule("silence_once", ("order",), _silence_once, (at_most("repeats", 0.0),)),
    # forgot_shop, natural: nothing more is heard of him.
    EvidenceRule(
        "no_visit",
        ("browsing",),
        _no_visit,
        (at_most("days_visited", 0.5),),
        {"forgot_shop": 0.75, "natural": 0.60},
        0.2,
        (at_least("days", 14.0),),
    ),
    EvidenceRule(
        "no_favourite",
        ("cart.favourite",),
        _no_favourite,
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
        _carts_without_order,
        (at_least("carts", 2.0),),
        {"too_many_choices": 0.75},
        0.06,
    ),
    EvidenceRule(
        "wandering",
        ("browsing.category", "browsing.session_id"),
        _wandering,
        (at_least("categories", 6.0), at_least("views", 4.5)),
        {"too_many_choices": 0.80, "no_personal_fit": 0.85},
        0.06,
    ),
    EvidenceRule(
        "shrinking_orders",
        ("order.amount",),
        _shrinking,
        (at_most("share", 0.6),),
        {"too_many_choices": 0.40},
        0.22,
        (at_least("orders", 3.0),),
    ),
    # product_quality
    EvidenceRule(
        "sent_back", ("order.returned",), _sent_back, (at_least("returns", 1.0),), {"product_quality": 0.70}, 0.03
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
        _waiting,
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
    # the family of the five above: something went wrong, and nobody says what
    EvidenceRule(
        UNSPLIT,
        ("complaint",),
        _counted("complaints", "about_other"),
        (at_least("complaints", 1.0),),
        dict.fromkeys(POOR_EXPERIENCE, 0.30),
        0.03,
        (at_least("complaints", 1.0),),  # who says what it is about does not speak against them
    ),
    # habit_change
    EvidenceRule(
        "growing_gaps",
        ("order",),
        _growing_gaps,
        (at_least("times", 1.3),),
        {"habit_change": 0.50},
        0.3,
        (at_least("repeats", 3.0),),
    ),
    # poor_site
    EvidenceRule(
        "slow_pages",
        ("browsing.load_seconds",),
        _slow_pages,
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
        _unavailable,
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
        _ignored,
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
    EvidenceRule("many_contacts", ("contact",), _contacts, (at_least("contacts", 2.0),), {"ad_harassment": 0.60}, 0.10),
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
        _small_orders,
        (at_most("share", 0.5),),
        {"small_customer_neglect": 0.90},
        0.16,
        (at_least("orders", 2.0),),
    ),
    EvidenceRule(
        "no_member_benefit",
        ("order.member_benefit",),
        _no_benefit,
        (at_most("benefits", 0.0),),
        {"small_customer_neglect": 0.95},
        0.35,
        (at_least("orders", 3.0),),
    ),
)

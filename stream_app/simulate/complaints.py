"""Complaint events of a block of customers: complaints, reviews, returns, surveys and unsubscribes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.events.enumerations import ComplaintAction, ComplaintForm
from stream_app.core.units import DAY_SECONDS, HOUR_SECONDS
from stream_app.simulate.arrays import Table, code, pick, rows
from stream_app.simulate.customers import Customers
from stream_app.simulate.orders import NEVER, NO_ORDER, Orders
from stream_app.simulate.shop import Shop
from stream_app.simulate.tables import COMPLAINT
from stream_app.simulate.vocabulary import COMPLAINT_CATEGORIES, COMPLAINT_CHANNELS, TEXTS_PER_CATEGORY

NO_CATEGORY: Final = -1
SURVEY_RATE: Final = 0.06  # share of delivered orders
LOW_REVIEW_RATE: Final = 0.006
UNSUBSCRIBE_RATE: Final = 0.01  # share of customers
LATE_COMPLAINT_RATE: Final = 0.15  # share of late parcels
EVERYDAY_CATEGORIES: Final = ("quality", "description", "logistics", "service", "promise", "price")

# Complaints due to a cause: (cause, form, probability, categories). Each entry is drawn independently.
CAUSED: Final[tuple[tuple[str, ComplaintForm, float, tuple[str, ...]], ...]] = (
    ("product_quality", ComplaintForm.COMPLAINT, 0.6, ("quality", "description")),
    ("product_quality", ComplaintForm.LOW_REVIEW, 0.6, ("quality", "description")),
    ("logistics", ComplaintForm.COMPLAINT, 0.8, ("logistics",)),
    ("service", ComplaintForm.COMPLAINT, 1.0, ("service",)),
    ("unresolved_complaint", ComplaintForm.COMPLAINT, 1.0, ("refund", "quality", "logistics", "service")),
    ("broken_promise", ComplaintForm.COMPLAINT, 0.8, ("promise",)),
    ("price", ComplaintForm.COMPLAINT, 0.15, ("price",)),
    ("ad_harassment", ComplaintForm.UNSUBSCRIBE, 0.85, ("messages",)),
    ("ad_harassment", ComplaintForm.COMPLAINT, 0.5, ("messages",)),
    ("privacy", ComplaintForm.COMPLAINT, 0.8, ("privacy",)),
)
ABOUT_AN_ORDER: Final = ("product_quality", "logistics", "service", "unresolved_complaint", "broken_promise")


@dataclass(frozen=True, kw_only=True)
class Complaints:
    """k complaints of a block. Times are seconds since the start of the log, NEVER for missing steps."""

    who: Ints  # row number of the customer in the block
    order: Ints  # row number of the order in the block, or NO_ORDER
    form: Ints
    category: Ints
    rating: Ints  # 0 for none
    opened: Floats
    answered: Floats
    resolved: Floats
    reopened: Floats
    closed: Floats  # time of the second resolution, after reopening


def draw_complaints(shop: Shop, customers: Customers, orders: Orders, rng: np.random.Generator) -> Complaints:
    """Draw everyday complaints and those due to a cause of churn."""
    parts = [
        _everyday(shop, orders, rng),
        _late_parcels(orders, rng),
        _reviews(orders, ComplaintForm.SURVEY, SURVEY_RATE, (3, 6), rng),
        _reviews(orders, ComplaintForm.LOW_REVIEW, LOW_REVIEW_RATE, (1, 4), rng),
        _returns(orders, rng),
        _unsubscribes(shop, customers, rng),
        *(_caused(customers, orders, *line, rng) for line in CAUSED),
    ]
    names = [field.name for field in fields(Complaints)]
    return Complaints(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _complaints(
    who: Ints, order: Ints, form: ComplaintForm, category: Ints | int, opened: Floats, rating: Ints | int = 0
) -> Complaints:
    """Return complaints that have not been handled. Scalar arguments apply to all of them."""
    never = np.full(len(who), NEVER)
    return Complaints(
        who=who,
        order=order,
        form=np.full(len(who), code(form)),
        category=np.broadcast_to(np.asarray(category), who.shape),
        rating=np.broadcast_to(np.asarray(rating), who.shape),
        opened=opened,
        answered=never,
        resolved=never,
        reopened=never,
        closed=never,
    )


def _handled(complaints: Complaints, rng: np.random.Generator) -> Complaints:
    """Return the complaints with answers within a day and solutions within three, as the service targets require."""
    answered = complaints.opened + rng.uniform(0.2, 20, len(complaints.who)) * HOUR_SECONDS
    resolved = answered + rng.uniform(1, 48, len(complaints.who)) * HOUR_SECONDS
    return replace(complaints, answered=answered, resolved=resolved)


def _about(orders: Orders, chosen: Bools) -> tuple[Ints, Ints]:
    """Return the row numbers of the customers and orders, for those chosen orders that were delivered."""
    number = np.flatnonzero(chosen & (orders.delivered < NEVER))
    return orders.who[number], number


def _everyday(shop: Shop, orders: Orders, rng: np.random.Generator) -> Complaints:
    who, number = _about(orders, rng.random(len(orders.who)) < shop.complaint_rate)
    choices = np.array([COMPLAINT_CATEGORIES.index(name) for name in EVERYDAY_CATEGORIES])
    category = choices[rng.integers(len(choices), size=len(who))]
    opened = orders.delivered[number] + rng.uniform(1, 96, len(who)) * HOUR_SECONDS
    return _handled(_complaints(who, number, ComplaintForm.COMPLAINT, category, opened), rng)


def _late_parcels(orders: Orders, rng: np.random.Generator) -> Complaints:
    late = (orders.delivered > orders.promised) & (orders.after != 0)
    who, number = _about(orders, late & (rng.random(len(orders.who)) < LATE_COMPLAINT_RATE))
    opened = orders.promised[number] + rng.uniform(6, 30, len(who)) * HOUR_SECONDS
    category = COMPLAINT_CATEGORIES.index("logistics")
    return _handled(_complaints(who, number, ComplaintForm.COMPLAINT, category, opened), rng)


def _reviews(
    orders: Orders, form: ComplaintForm, rate: float, ratings: tuple[int, int], rng: np.random.Generator
) -> Complaints:
    who, number = _about(orders, rng.random(len(orders.who)) < rate)
    opened = orders.delivered[number] + rng.uniform(1, 10, len(who)) * DAY_SECONDS
    category = COMPLAINT_CATEGORIES.index("survey" if form is ComplaintForm.SURVEY else "quality")
    return _complaints(who, number, form, category, opened, rng.integers(*ratings, size=len(who)))


def _returns(orders: Orders, rng: np.random.Generator) -> Complaints:
    who, number = _about(orders, (orders.returned < NEVER) & (rng.random(len(orders.who)) < 0.8))
    category = np.where(
        rng.random(len(who)) < 0.5, COMPLAINT_CATEGORIES.index("quality"), COMPLAINT_CATEGORIES.index("description")
    )
    return _complaints(who, number, ComplaintForm.RETURN_REASON, category, orders.returned[number])


def _unsubscribes(shop: Shop, customers: Customers, rng: np.random.Generator) -> Complaints:
    who = np.flatnonzero(rng.random(len(customers.number)) < UNSUBSCRIBE_RATE)
    opened = rng.uniform(np.maximum(customers.joined[who], 0), shop.clock.end)
    nothing = np.full(len(who), NO_ORDER)
    return _complaints(who, nothing, ComplaintForm.UNSUBSCRIBE, NO_CATEGORY, opened)


def _caused(
    customers: Customers,
    orders: Orders,
    cause: str,
    form: ComplaintForm,
    chance: float,
    categories: tuple[str, ...],
    rng: np.random.Generator,
) -> Complaints:
    """Draw the complaints due to one cause. They are about the last order if the cause is related to orders."""
    who = np.flatnonzero(customers.shows(cause) & (rng.random(len(customers.number)) < chance))
    last = np.full(len(customers.number), NO_ORDER)
    before_leaving = np.flatnonzero((orders.after == 0) & (orders.delivered < NEVER))
    last[orders.who[before_leaving]] = before_leaving
    order = last[who] if cause in ABOUT_AN_ORDER else np.full(len(who), NO_ORDER)
    in_trouble = rng.uniform(customers.trouble_start[who], customers.trouble_end[who])
    arrived = np.append(orders.delivered, 0.0)[order]  # NO_ORDER selects the appended 0
    opened = np.where(order == NO_ORDER, in_trouble, arrived + rng.uniform(2, 60, len(who)) * HOUR_SECONDS)
    choices = np.array([COMPLAINT_CATEGORIES.index(name) for name in categories])
    category = choices[rng.integers(len(choices), size=len(who))]
    rating = rng.integers(1, 3, len(who)) if form is ComplaintForm.LOW_REVIEW else 0
    complaints = _complaints(who, order, form, category, opened, rating)
    return _treated(cause, complaints, rng) if form is ComplaintForm.COMPLAINT else complaints


def _treated(cause: str, complaints: Complaints, rng: np.random.Generator) -> Complaints:
    """Return the complaints with their handling: poor if poor handling is the cause, otherwise within the targets."""
    k = len(complaints.who)
    if cause == "unresolved_complaint":
        answer = np.where(rng.random(k) < 0.5, complaints.opened + rng.uniform(2, 30, k) * HOUR_SECONDS, NEVER)
        return replace(complaints, answered=answer)
    if cause != "service":
        return _handled(complaints, rng)
    answered = complaints.opened + rng.uniform(30, 96, k) * HOUR_SECONDS
    resolved = answered + rng.uniform(4, 60, k) * HOUR_SECONDS
    reopened = np.where(rng.random(k) < 0.6, resolved + rng.uniform(2, 48, k) * HOUR_SECONDS, NEVER)
    return replace(
        complaints, answered=answered, resolved=resolved, reopened=reopened, closed=reopened + 2 * DAY_SECONDS
    )


def complaint_events(
    shop: Shop, customers: Customers, orders: Orders, complaints: Complaints, rng: np.random.Generator
) -> Table:
    """Return one row per step of each complaint, unordered."""
    k = len(complaints.who)
    about = complaints.order != NO_ORDER
    half = TEXTS_PER_CATEGORY // 2
    phrase = rng.integers(half, size=k) + customers.english[complaints.who] * half
    texts = np.where(complaints.category == NO_CATEGORY, -1, complaints.category * TEXTS_PER_CATEGORY + phrase)
    shared = {
        "customer": customers.number[complaints.who],
        "complaint": np.arange(k),
        "order": complaints.order,
        "form": complaints.form,
        "category": complaints.category,
        "channel": rng.integers(len(COMPLAINT_CHANNELS), size=k),
        "staff": np.where(about, np.append(orders.staff, 0)[complaints.order], pick(rng, shop.staff_weights, k)),
        "product": np.append(orders.product, -1)[complaints.order],
    }
    steps = (
        (ComplaintAction.OPENED, complaints.opened, {"text": texts, "rating": complaints.rating}),
        (ComplaintAction.ANSWERED, complaints.answered, {"text": -1}),
        (ComplaintAction.RESOLVED, complaints.resolved, {"text": -1}),
        (ComplaintAction.REOPENED, complaints.reopened, {"text": texts}),
        (ComplaintAction.RESOLVED, complaints.closed, {"text": -1}),
    )
    beyond_any_log = 1e12  # seconds; NEVER does not fit into an integer
    return np.concatenate(
        [
            rows(k, COMPLAINT, at=np.minimum(at, beyond_any_log) * 1_000, action=code(step), **shared, **more)
            for step, at, more in steps
        ]
    )

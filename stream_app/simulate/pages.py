"""Page views within visits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from stream_app.core.arrays import Bools, Floats, Ints
from stream_app.core.events.enumerations import Page
from stream_app.simulate.arrays import Table, code, owners, pick, rows, running_sum, within_group
from stream_app.simulate.customers import Customers
from stream_app.simulate.orders import NO_ORDER, Orders, draw_products
from stream_app.simulate.shop import PRODUCTS, Shop
from stream_app.simulate.tables import BROWSING
from stream_app.simulate.visits import Visits
from stream_app.simulate.vocabulary import CATEGORIES, TERMS_PER_CATEGORY, VISIT_CHANNELS

UNKNOWN: Final = -1
MAX_VIEWS: Final = 400  # per visit
FIRST_PAGES: Final = ((Page.HOME, 0.35), (Page.SEARCH, 0.25), (Page.CATEGORY, 0.15), (Page.PRODUCT, 0.25))
NEXT_PAGES: Final = (
    (Page.PRODUCT, 0.66),
    (Page.CATEGORY, 0.12),
    (Page.SEARCH, 0.12),
    (Page.HOME, 0.04),
    (Page.ACCOUNT, 0.04),
    (Page.HELP, 0.02),
)


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The last product viewed and the duration of each of v visits."""

    product: Ints
    price_cents: Ints
    seconds: Floats
    absent: Bools  # the product was not available


@dataclass(frozen=True, kw_only=True)
class _Views:
    """The n page views of v visits, as arrays of length n."""

    counts: Ints  # views per visit, length v
    visit: Ints  # row number of the visit
    position: Ints  # 0 for the first page of the visit
    left: Ints  # pages until the end of the visit, 1 for the last page
    ordering: Bools  # the visit ends with an order
    served_ill: Bools  # recommendations do not fit the customer
    wants_absent: Bools  # the visit is about an unavailable product

    def __len__(self) -> int:
        return len(self.visit)


def page_views(
    shop: Shop, customers: Customers, orders: Orders, visits: Visits, rng: np.random.Generator
) -> tuple[Table, Looks]:
    """Return one row per page view, and the data about each visit that is needed for cart events."""
    views = _draw_views(shop, customers, visits, rng)
    who = visits.who[views.visit]
    page = _draw_pages(views, rng)
    product = _draw_goods(shop, customers, orders, visits, views, rng)
    goods = shop.product_categories[product]
    on_product, searching = page == code(Page.PRODUCT), page == code(Page.SEARCH)
    absent = _absent(shop, views, rng)
    search, results = _searches(customers, visits, views, goods, searching, rng)
    price = np.round(shop.product_cents[product] * customers.spending[who]).astype(np.int64)
    at, dwell, seconds = _times(visits, views, rng)
    device = (rng.random(len(views.counts)) ** 2 * len(VISIT_CHANNELS)).astype(np.int64)
    table = rows(
        len(views),
        BROWSING,
        at=at * 1_000,
        customer=customers.number[who],
        session=views.visit,
        page=page,
        product=np.where(on_product, product, UNKNOWN),
        category=np.where(on_product | searching | (page == code(Page.CATEGORY)), goods, UNKNOWN),
        channel=device[views.visit],
        dwell_tenths=dwell * 10,
        load_hundredths=_load_seconds(customers, visits, views, rng) * 100,
        search=search,
        results=results,
        available=np.where(on_product, ~absent, UNKNOWN),
        recommended=np.where(on_product, rng.random(len(views)) < np.where(views.served_ill, 0.7, 0.25), UNKNOWN),
        price_cents=np.where(on_product, price, UNKNOWN),
    )
    final = np.cumsum(views.counts) - 1
    return table, Looks(product=product[final], price_cents=price[final], seconds=seconds, absent=absent[final])


def _draw_views(shop: Shop, customers: Customers, visits: Visits, rng: np.random.Generator) -> _Views:
    """Draw the number of views of each visit: geometric, with 3 more for an order, and more for two causes."""
    restless = visits.showing(customers, "too_many_choices") | visits.showing(customers, "no_personal_fit")
    counts = rng.geometric(1 / (shop.settings.page_views * np.where(restless, 2.5, 1.0)))
    counts = np.minimum(counts + np.where(visits.order == NO_ORDER, 0, 3), MAX_VIEWS)
    visit, position = owners(counts), within_group(counts)
    return _Views(
        counts=counts,
        visit=visit,
        position=position,
        left=counts[visit] - position,
        ordering=visits.order[visit] != NO_ORDER,
        served_ill=visits.showing(customers, "no_personal_fit")[visit],
        wants_absent=visits.showing(customers, "out_of_stock")[visit],
    )


def _draw_pages(views: _Views, rng: np.random.Generator) -> Ints:
    """Draw the kind of each page; visits with an order end with product, cart and checkout."""
    first, later = _pick_pages(FIRST_PAGES, len(views), rng), _pick_pages(NEXT_PAGES, len(views), rng)
    page = np.where(views.position == 0, first, later)
    for left, kind in ((3, Page.PRODUCT), (2, Page.CART), (1, Page.CHECKOUT)):
        page = np.where(views.ordering & (views.left == left), code(kind), page)
    on_goods = (views.served_ill | views.wants_absent) & (views.left == 1) & ~views.ordering
    return np.where(on_goods, code(Page.PRODUCT), page)


def _pick_pages(choices: tuple[tuple[Page, float], ...], size: int, rng: np.random.Generator) -> Ints:
    pages = np.array([code(page) for page, _ in choices])
    return pages[pick(rng, np.array([weight for _, weight in choices]), size)]


def _draw_goods(
    shop: Shop, customers: Customers, orders: Orders, visits: Visits, views: _Views, rng: np.random.Generator
) -> Ints:
    """Draw the product of each view: the ordered product, usually one from the home category, or any product."""
    product = draw_products(shop, customers, visits.who[views.visit], rng)
    wandering = views.served_ill | visits.showing(customers, "too_many_choices")[views.visit]
    product = np.where(wandering, rng.integers(PRODUCTS, size=len(views)), product)
    bought = np.append(orders.product, UNKNOWN)[visits.order]  # NO_ORDER selects the appended value
    return np.where(views.ordering, bought[views.visit], product)


def _absent(shop: Shop, views: _Views, rng: np.random.Generator) -> Bools:
    absent = rng.random(len(views)) < np.where(views.wants_absent, 0.7, shop.out_of_stock_rate)
    return (absent | (views.wants_absent & (views.left == 1))) & ~views.ordering


def _times(visits: Visits, views: _Views, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Draw the start and dwell time of each view and the duration of each visit. Visits end with their order."""
    dwell = np.clip(rng.lognormal(2.8, 0.8, len(views)) * np.where(views.served_ill, 0.5, 1.0), 1, 1_800)
    seconds: Floats = np.bincount(views.visit, dwell, minlength=len(views.counts)).astype(np.float64)
    begin = np.where(visits.order == NO_ORDER, visits.at, visits.at - seconds)
    return begin[views.visit] + running_sum(dwell, views.counts), dwell, seconds


def _load_seconds(customers: Customers, visits: Visits, views: _Views, rng: np.random.Generator) -> Floats:
    """Draw load times: about 1 s, or several seconds if the site is the cause of churn."""
    slow = visits.showing(customers, "poor_site")[views.visit]
    return np.clip(rng.lognormal(0.0, 0.5, len(views)) * np.where(slow, 5.0, 1.0), 0.1, 60)


def _searches(
    customers: Customers, visits: Visits, views: _Views, goods: Ints, searching: Bools, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Draw the search text and number of results of each view; UNKNOWN for pages other than searches."""
    half = TERMS_PER_CATEGORY // 2
    english = customers.english[visits.who][views.visit]
    text = goods % len(CATEGORIES) * TERMS_PER_CATEGORY + rng.integers(half, size=len(views)) + english * half
    empty = rng.random(len(views)) < np.where(visits.showing(customers, "poor_site")[views.visit], 0.7, 0.03)
    results = np.where(empty, 0, 1 + rng.geometric(0.03, len(views)))
    return np.where(searching, text, UNKNOWN), np.where(searching, results, UNKNOWN)

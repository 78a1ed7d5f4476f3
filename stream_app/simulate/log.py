"""The simulated log: blocks of customers, merged in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec
import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.schema import Event
from stream_app.core.units import DAY_SECONDS
from stream_app.simulate.arrays import Table
from stream_app.simulate.cart import cart_steps
from stream_app.simulate.complaints import complaint_events, draw_complaints
from stream_app.simulate.customers import Customers, draw_customers
from stream_app.simulate.orders import draw_orders, order_events
from stream_app.simulate.pages import page_views
from stream_app.simulate.shop import BLOCK, Shop, ShopSettings, draw_shop
from stream_app.simulate.tables import TABLES
from stream_app.simulate.typed import EventMaker
from stream_app.simulate.visits import draw_visits

BATCH: Final = 20_000  # events converted at once, which limits the memory for Python objects
SLICE: Final = 100_000  # mean number of events per time slice, within which blocks are merged

OnProgress = Callable[[str, float], None]  # ("simulate" or "write", share done from 0 to 1)


def block_streams(seed: int, block: int) -> list[np.random.Generator]:
    """Return four random streams for a block: for its customers, orders, complaints and visits.

    They are independent, so changes in one part of the simulation do not affect the others.
    """
    return list(map(np.random.default_rng, np.random.SeedSequence(seed, spawn_key=(1, block)).spawn(4)))


def blocks(settings: ShopSettings) -> range:
    """Return the block numbers."""
    return range(-(-settings.customers // BLOCK))


def simulate_block(shop: Shop, seed: int, block: int) -> tuple[Customers, dict[str, Table]]:
    """Simulate a block. Return its customers and, for each kind, a table of events sorted by time."""
    for_customers, for_orders, for_complaints, for_visits = block_streams(seed, block)
    wanted, customers = shop.settings.kinds, draw_customers(shop, block, for_customers)
    orders = draw_orders(shop, customers, for_orders)
    tables = {"order": order_events(customers, orders)}
    if "complaint" in wanted:
        complaints = draw_complaints(shop, customers, orders, for_complaints)
        tables["complaint"] = complaint_events(shop, customers, orders, complaints, for_complaints)
    if "browsing" in wanted or "cart" in wanted:
        visits = draw_visits(shop, customers, orders, for_visits)
        tables["browsing"], looks = page_views(shop, customers, orders, visits, for_visits)
        tables["cart"] = cart_steps(shop, customers, orders, visits, looks, for_visits)
    end = shop.settings.days * DAY_SECONDS * 1_000
    return customers, {kind: _in_span(tables[kind], end) for kind in TABLES if kind in wanted}


def _in_span(table: Table, end: float) -> Table:
    inside = table[(table["at"] >= 0) & (table["at"] < end)]
    return inside[np.argsort(inside["at"], kind="stable")]


def simulate(settings: ShopSettings, seed: int, on_progress: OnProgress = lambda *_: None) -> Iterator[list[Event]]:
    """Yield a shop's log in batches of up to `BATCH` events, sorted by (occurred_at, kind, sequence).

    All events are held in memory as compact columns (about 40 bytes per event), but only one batch at a time as typed
    events. The same settings and seed give the same events.

    >>> batches = list(simulate(ShopSettings(customers=20, days=30), seed=1))
    >>> times = [event.occurred_at for batch in batches for event in batch]
    >>> times == sorted(times)
    True
    """
    shop = draw_shop(settings, seed)
    everything: list[dict[str, Table]] = []
    for block in blocks(settings):
        everything.append(simulate_block(shop, seed, block)[1])
        on_progress("simulate", (block + 1) / len(blocks(settings)))
    maker, total, done = EventMaker(settings), sum(len(t) for tables in everything for t in tables.values()), 0
    for merged in _slices(settings, everything, total):
        for begin in range(0, len(merged.order), BATCH):
            batch = merged.typed(maker, merged.order[begin : begin + BATCH])
            done += len(batch)
            yield batch
            on_progress("write", done / total)


@dataclass(frozen=True)
class _Slice:
    """The rows of one time slice by kind, and their merged order."""

    tables: dict[str, Table]
    numbers: dict[str, Ints]  # row number within its kind and block
    order: Ints

    def typed(self, maker: EventMaker, chosen: Ints) -> list[Event]:
        """Convert the chosen rows to typed events, in the order of `chosen`."""
        events: list[Event] = []
        sorted_rows, base = np.sort(chosen), 0
        for kind, table in self.tables.items():
            first, last = np.searchsorted(sorted_rows, [base, base + len(table)])
            mine = sorted_rows[first:last] - base
            events += maker.make(kind, table[mine], self.numbers[kind][mine])
            base += len(table)
        return [events[place] for place in np.searchsorted(sorted_rows, chosen).tolist()]


def _slices(settings: ShopSettings, everything: list[dict[str, Table]], total: int) -> Iterator[_Slice]:
    """Yield the merged rows of consecutive time slices without copying the whole log."""
    edges = np.linspace(0, settings.days * DAY_SECONDS * 1_000, 2 + total // SLICE).astype(np.int64)
    cuts = [{kind: np.searchsorted(table["at"], edges) for kind, table in tables.items()} for tables in everything]
    for place in range(len(edges) - 1):
        tables: dict[str, Table] = {}
        numbers: dict[str, Ints] = {}
        for kind in everything[0]:
            spans = [(int(cut[kind][place]), int(cut[kind][place + 1])) for cut in cuts]
            tables[kind] = np.concatenate(
                [t[kind][first:last] for t, (first, last) in zip(everything, spans, strict=True)]
            )
            numbers[kind] = np.concatenate([np.arange(first, last) for first, last in spans])
        order = np.argsort(np.concatenate([table["at"] for table in tables.values()]), kind="stable")
        yield _Slice(tables, numbers, order)


def write_log(settings: ShopSettings, seed: int, out: BinaryIO, on_progress: OnProgress = lambda *_: None) -> int:
    r"""Write the log as JSON lines, and return the number of events.

    >>> import io
    >>> out = io.BytesIO()
    >>> write_log(ShopSettings(customers=20, days=30), 1, out) == out.getvalue().count(b"\n")
    True
    """
    encoder, written = msgspec.json.Encoder(), 0
    for batch in simulate(settings, seed, on_progress):
        out.write(encoder.encode_lines(batch))
        written += len(batch)
    return written

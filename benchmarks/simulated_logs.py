"""Simulated logs to measure on. A log is written once to build/, under a name that contains its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stream_app.simulate import ShopSettings, write_log

SEED: Final = 1


def simulated(folder: Path, name: str, settings: ShopSettings) -> Path:
    """Return the log of a simulated shop in the wire format, written to `folder` unless it exists."""
    size = f"{settings.customers}-{settings.days}-{settings.sessions:g}-{settings.page_views:g}"
    path = folder / f"{name}-{size}-{'-'.join(settings.kinds)}.jsonl"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as out:
            write_log(settings, SEED, out, lambda _what, _done: None)
        unfinished.replace(path)
    return path


def browsing_heavy(customers: int) -> ShopSettings:
    """Return a shop with more than twenty events per decision, over half a year."""
    return ShopSettings.browsing_heavy(customers, days=150)


def short(customers: int, sessions: float = 0.6, page_views: float = 1.0) -> ShopSettings:
    """Return a shop with all kinds of events over 45 days.

    Args:
        customers: number of customers; their orders do not depend on the other arguments.
        sessions: visits without an order; the default makes a dozen events per customer.
        page_views: page views per visit.
    """
    return ShopSettings(customers=customers, days=45, sessions=sessions, page_views=page_views)


def orders_only(customers: int) -> ShopSettings:
    """Return a shop with many decisions per event, for use where CDNOW is not available."""
    return ShopSettings.orders_only(customers, days=365)

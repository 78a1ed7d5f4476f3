"""The simulated logs that are measured on; made once and kept in build/ under a name that says what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stream_app.simulate import ShopSettings, write_log

SEED = 1


def simulated(folder: Path, name: str, settings: ShopSettings, on_share: Callable[[float], None]) -> Path:
    """The log of a shop in the wire format; written to `folder` unless it is there.

    Args:
        folder: made if missing.
        name: of the file, without what the settings say.
        settings: of the simulated shop.
        on_share: told of the share that is written.
    """
    kinds = "-".join(settings.kinds)
    said = f"{settings.customers}-{settings.days}-{settings.sessions:g}-{settings.page_views:g}-{kinds}"
    path = folder / f"{name}-{said}.jsonl"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as out:
            write_log(settings, SEED, out, lambda what, done: on_share(done if what == "write" else 0.0))
        unfinished.replace(path)
    return path


def browsing_heavy(customers: int) -> ShopSettings:
    """Twenty events a decision and more, over half a year."""
    return ShopSettings.browsing_heavy(customers, days=150)


def scale(customers: int) -> ShopSettings:
    """A dozen events a customer in 45 days, of all kinds: the same shop at every size."""
    return ShopSettings(customers=customers, days=45, sessions=0.6, page_views=1.0)


def visits(customers: int, sessions: float, page_views: float) -> ShopSettings:
    """The same customers and orders with more or fewer visits, of more or fewer pages."""
    return ShopSettings(customers=customers, days=45, sessions=sessions, page_views=page_views)


def orders_only(customers: int) -> ShopSettings:
    """Many decisions an event, where CDNOW is not at hand."""
    return ShopSettings.orders_only(customers, days=365)

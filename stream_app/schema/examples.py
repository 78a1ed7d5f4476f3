"""Valid example events of every kind: one with all fields and one with only the required fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from stream_app.core.events.enumerations import (
    CartAction,
    ComplaintAction,
    ComplaintForm,
    ContactAction,
    OrderAction,
    Page,
)
from stream_app.core.events.schema import KINDS, Browsing, Cart, Complaint, Contact, Event, Order, encode

_WHO: Final = {"customer_id": "c-1001", "shop_id": "flagship"}
_GOODS: Final = {"product_id": "p-77", "category": "tea", "available": True, "price": 128.0}
_FULL: Final[dict[str, Event]] = {
    "browsing": msgspec.convert(
        {
            **_WHO, **_GOODS, "event_id": "b-1", "occurred_at": "2026-11-11T19:58:02+08:00", "page": Page.PRODUCT,
            "session_id": "s-5", "channel": "app", "dwell_seconds": 41.5, "load_seconds": 0.8, "search_text": "龙井",
            "search_results": 24, "recommended": False,
        },
        Browsing,
    ),
    "cart": msgspec.convert(
        {
            **_WHO, **_GOODS, "event_id": "k-1", "occurred_at": "2026-11-11T19:59:00+08:00", "action": CartAction.ADD,
            "session_id": "s-5", "quantity": 2.0,
        },
        Cart,
    ),
    "order": msgspec.convert(
        {
            **_WHO, "event_id": "o-1", "occurred_at": "2026-11-11T20:00:00+08:00", "action": OrderAction.PAID,
            "order_id": "2026-000881", "amount": 226.0, "discount": 30.0, "currency": "CNY", "items": 2,
            "product_id": "p-77", "category": "tea", "promised_at": "2026-11-14T18:00:00+08:00",
            "delivered_at": "2026-11-15T10:20:00+08:00", "carrier": "express-3", "staff": "li", "region": "浙江",
            "acquisition_channel": "search", "member_benefit": True,
        },
        Order,
    ),
    "complaint": msgspec.convert(
        {
            **_WHO, "event_id": "q-1", "occurred_at": "2026-11-16T09:12:00+08:00", "form": ComplaintForm.COMPLAINT,
            "action": ComplaintAction.OPENED, "complaint_id": "t-9", "order_id": "2026-000881", "category": "logistics",
            "text": "包裹晚到了一天", "rating": 2.0, "channel": "chat", "staff": "wang", "product_id": "p-77",
            "amount": 12.0,
        },
        Complaint,
    ),
    "contact": msgspec.convert(
        {
            **_WHO, "event_id": "m-1", "occurred_at": "2026-11-17T10:00:00+08:00", "action": ContactAction.OPENED,
            "channel": "sms", "measure": "apology_coupon", "campaign": "late-parcels", "alert_id": "al_5f2c",
            "staff": "li", "note": "第二次联系",
        },
        Contact,
    ),
}  # fmt: skip


def examples(kind: str) -> list[dict[str, Any]]:
    """Return two events of a kind as JSON objects: one with all fields, one with only the required fields.

    >>> sorted(examples("browsing")[1])
    ['customer_id', 'event_id', 'occurred_at', 'type']
    """
    full = _FULL[kind]
    least = KINDS[kind](event_id="1", customer_id="c-1", occurred_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    return [msgspec.json.decode(encode(event)) for event in (full, least)]

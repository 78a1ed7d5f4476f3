"""Alerts for tests and benchmarks of the notifier alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from stream_app.core.events.schema import DEFAULT_SHOP
from stream_app.core.messages.alerts import AlertOpened

_LIFETIME: Final = timedelta(days=14)


def urgent_alert(number: int, shop_id: str = DEFAULT_SHOP) -> AlertOpened:
    """Return an urgent alert opened now, whose id and customer contain the number.

    >>> urgent_alert(7).alert_id, urgent_alert(7).urgent
    ('al_7', True)
    """
    now = datetime.now(UTC)
    return AlertOpened(
        alert_id=f"al_{number}",
        customer_id=f"customer-{number}",
        opened_at=now,
        expires_at=now + _LIFETIME,
        rank=0,
        probability=0.8,
        monthly_worth=9.0,
        silent_days=float(number),
        usual_gap_days=None,
        source="model",
        version=1,
        shop_id=shop_id,
        urgent=True,
    )

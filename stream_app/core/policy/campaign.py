"""Sales and holidays in a shop's calendar."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sale or holiday (both days inclusive) and the lull before it, during which silence does not mean churn."""

    name: str
    first_day: date
    last_day: date
    lull_days: int = 7  # before first_day, while customers wait for lower prices

    def covers(self, day: date) -> bool:
        """Return whether a day falls in the campaign or in the lull before it.

        >>> Campaign("双11", date(2025, 11, 1), date(2025, 11, 11)).covers(date(2025, 10, 26))
        True
        """
        return self.first_day - timedelta(days=self.lull_days) <= day <= self.last_day

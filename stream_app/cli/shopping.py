"""`stream-app shop`: until a signal, or for some seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Timer

from stream_app.cli.signals import stopped_by_signals
from stream_app.config import LiveConfig
from stream_app.demo.shop import Plan, possible_starts
from stream_app.demo.shop import run_shop as publish_shop
from stream_app.errors import BadOption
from stream_app.services.runtime.logs import set_up
from stream_app.simulate.calendar import SHOP_ZONE


@dataclass(frozen=True)
class Asked:
    """The options of the command."""

    customers: int
    days: int
    start: datetime | None  # a day, without a zone
    seed: int
    last_days: float
    day_seconds: float
    seconds: float | None  # None: until a signal
    staffed: bool = True

    def plans(self, today: datetime) -> list[Plan]:
        """The shops that it may be. Raises BadOption."""
        begins = [self.start.replace(tzinfo=SHOP_ZONE)] if self.start else possible_starts(today, self.days)
        if not begins:
            raise BadOption(option="--days", value=self.days, remedy="Give 1461, or --start.")
        plan = Plan(self.customers, self.days, begins[0], self.seed, self.last_days, self.day_seconds)
        try:
            _ = plan.shop
        except ValueError as error:
            asked = (self.customers, self.days)
            raise BadOption(option="--customers or --days", value=asked, remedy=f"{error}.") from error
        return [plan.starting_at(at) for at in begins]


def run_shop(config: LiveConfig, asked: Asked) -> None:
    """Keep the shop alive; a signal or the end of its time ends it in order."""
    plans = asked.plans(datetime.now(UTC))
    set_up(config.log.level, config.log.format)
    with stopped_by_signals() as stop:
        timer = Timer(asked.seconds or 0.0, stop.set)
        timer.daemon = True
        if asked.seconds:
            timer.start()
        try:
            publish_shop(config, plans, stop, staffed=asked.staffed)
        finally:
            timer.cancel()

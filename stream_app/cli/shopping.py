"""`stream-app shop`: until a signal, or for some seconds."""

from __future__ import annotations

from threading import Timer

from stream_app.adapters.logs import set_up
from stream_app.cli.signals import stopped_by_signals
from stream_app.config import LiveConfig
from stream_app.demo.shop import Plan, keep_shop
from stream_app.errors import BadOption


def run_shop(config: LiveConfig, plan: Plan, seconds: float | None) -> None:
    """Keep the shop alive; a signal or the end of its time ends it in order."""
    try:
        _ = plan.shop
    except ValueError as error:
        raise BadOption(
            option="--customers or --days", value=(plan.customers, plan.days), remedy=f"{error}."
        ) from error
    set_up(config.log.level, config.log.format)
    with stopped_by_signals() as stop:
        timer = Timer(seconds, stop.set) if seconds else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            keep_shop(config, plan, stop)
        finally:
            if timer is not None:
                timer.cancel()

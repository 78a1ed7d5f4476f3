"""The `stream-app shop` command."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Timer
from typing import Annotated, Any

import typer

from stream_app.cli.options import BootstrapOption, ConfigOption, SetOption, load_settings
from stream_app.demo.shop import Plan, possible_starts, run_shop
from stream_app.errors import BadOption
from stream_app.services.runtime.logs import set_up
from stream_app.services.runtime.signals import stopped_by_signals
from stream_app.simulate.calendar import SHOP_ZONE


def shop(  # noqa: PLR0913, PLR0917 - the options of a command are its parameters
    customers: Annotated[int, typer.Option(min=100, help="Number of customers over the shop's lifetime.")] = 12_000,
    days: Annotated[int, typer.Option(min=30, help="Number of days that the shop exists.")] = 1_461,
    start: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="First day. Default: the first day of the log in the topics, or a few months ago if they are empty.",
        ),
    ] = None,
    last_days: Annotated[
        float, typer.Option(min=0, help="Number of days before today to play at the pace of --day-seconds.")
    ] = 13.0,
    day_seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds per day during those days.")] = 60.0,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after this many seconds. Default: never.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the shop.")] = 1,
    staff: Annotated[
        bool, typer.Option(help="Simulate staff who work on alerts. Otherwise, use `stream-app alerts`.")
    ] = True,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    given: SetOption = None,
) -> None:
    """Run a simulated shop on Kafka in real time.

    Its history is fast-forwarded and its last few days are played at a watchable pace; from then on it runs in real
    time. It also writes the services' ticks (ticks.clock = log). If interrupted, run the same command again to resume.
    """
    settings = load_settings(config, bootstrap, given)
    plans = possible_plans(
        datetime.now(UTC), start, days, customers=customers, seed=seed, last_days=last_days, day_seconds=day_seconds
    )
    set_up(settings.log.level, settings.log.format)
    with stopped_by_signals() as stop:
        if seconds:
            timer = Timer(seconds, stop.set)
            timer.daemon = True
            timer.start()
        run_shop(settings, plans, stop, staffed=staff)


def possible_plans(today: datetime, start: datetime | None, days: int, **options: Any) -> list[Plan]:
    """Return the possible plans for the shop, one per first day.

    Args:
        today: current time.
        start: first day, without a zone, or None if it is unknown.
        days: lifetime of the shop.
        options: other fields of `Plan`.

    Raises BadOption if the simulator does not support the plan.
    """
    starts = [start.replace(tzinfo=SHOP_ZONE)] if start else possible_starts(today, days)
    if not starts:
        raise BadOption(option="--days", value=days, remedy="Use 1461, or set --start.")
    plans = [Plan(days=days, start=at, **options) for at in starts]
    try:
        _ = plans[0].shop
    except ValueError as error:
        size = (plans[0].customers, days)
        raise BadOption(option="--customers or --days", value=size, remedy=f"{error}.") from error
    return plans

"""`stream-app state` and `stream-app model` as people see them."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
from rich.console import Console

from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.cli.tables import Column, show_table
from stream_app.config import LiveConfig
from stream_app.core.alerts.lifecycle import Ranking
from stream_app.core.customers.codec.states import decode_customers
from stream_app.core.customers.customer import Customer
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.snapshot import restore
from stream_app.core.partition.progress import Summary
from stream_app.core.state.vector import EMPTY, SLOTS, TIME_SLOTS
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.errors import BadOption, UnknownCustomer, UnknownVersion
from stream_app.ports import ModelVersion
from stream_app.services.runtime.stores import Stores, open_stores

T = TypeVar("T")
_TABLES: Final = ("facts", "waiting")  # of what is told of a customer
_NO_VERSION: Final = "No version yet: the first comes with the first labels, a horizon after the first decisions."
_NONE_IN_FORCE: Final = "No version is in force yet: the next tick puts the newest in force. `model list` shows them."
_USED_CELLS: Final = 12  # in which it still reads well where a version is in force
_TWO: Final = [Column("name"), Column("value", 24)]


def run_show_state(config: LiveConfig, customer: str, form: str, console: Console) -> None:
    """Show a customer, as a table on the terminal or as JSON on standard output."""
    if form not in ("table", "json"):
        raise BadOption(option="--format", value=form, remedy="Give table or json.")
    found = _with_stores(config, lambda stores: _find(stores, config, customer))
    if form == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        return
    said = [(name, "none" if value is None else str(value)) for name, value in found.items() if name not in _TABLES]
    show_table(console, f"Customer {customer}", _TWO, said)
    waits = [
        (one["decided_at"], f"{one['probability']:.3f}", str(one["version"]), "yes" if one["returned"] else "no")
        for one in found["waiting"]
    ]
    columns = [Column(name) for name in ("decided at", "probability", "version", "ordered since")]
    show_table(console, "Decisions that wait for their label", columns, waits)
    vector = [(name, _fact(name, value)) for name, value in found["facts"].items()]
    show_table(console, "Facts (docs/state.md); times in UTC", _TWO, vector)


def _fact(name: str, value: float) -> str:
    """A fact as people read it: a moment, a day of the shop's calendar, or a number.

    >>> _fact("last_order", 19_675.5), _fact("order_day_7", 19_675.0), _fact("orders", 3.0)
    ('2023-11-14T12:00:00+00:00', '2023-11-14', '3')
    """
    if name not in TIME_SLOTS:
        return f"{value:g}"
    moment = _time(round(value * DAY_US))
    return moment.partition("T")[0] if name.startswith("order_day_") else moment


async def _find(stores: Stores, config: LiveConfig, name: str) -> dict[str, Any]:
    number = partition_of(name, config.kafka.partitions)
    stored = await stores.states.state(number, name)
    if stored is None:
        raise UnknownCustomer(customer=name, partition=number)
    settings = config.shop.settings()
    restored = decode_customers([(name, stored)], settings.horizon)
    ranking = Ranking(settings.agreement)
    customer = restored.customers[0]
    customer.index = 0
    restored.rank(ranking)
    return _told(customer, number, len(stored), ranking.latest(0))


def _told(customer: Customer, partition: int, size: int, score: float) -> dict[str, Any]:
    return {
        "customer": customer.name,
        "partition": partition,
        "probability": None if math.isnan(score) else round(score, 4),
        "next_decision": _time(customer.due) if customer.due else None,
        "episode": customer.alert.alert_id if customer.alert else None,
        "stored_bytes": size,
        "waiting": [
            {
                "decided_at": _time(one.decided_at),
                "probability": one.probability,
                "version": one.version,
                "returned": one.returned,
            }
            for one in customer.waiting
        ],
        "facts": {
            name: value for name, value, empty in zip(SLOTS, customer.vector, EMPTY, strict=True) if value != empty
        },
    }


def run_list_models(config: LiveConfig, console: Console) -> None:
    """A table of the versions that are kept, the newest last."""
    versions, pinned, in_force = _with_stores(config, lambda stores: _versions(stores, config))
    if not versions:
        console.print(_NO_VERSION, soft_wrap=True)
        return
    names = ("version", "in force from", "examples", "bytes", "fingerprint", "")
    rows = [
        (
            str(one.number),
            _time(one.effective_at),
            f"{one.examples:,}",
            f"{one.stored_bytes:,}",
            one.fingerprint[:12],
            _used(one.number, pinned, in_force),
        )
        for one in versions
    ]
    columns = [Column(name, 0 if name else _USED_CELLS) for name in names]
    show_table(console, "Versions of the model, the newest last", columns, rows)


def _used(number: int, pinned: int | None, in_force: dict[int, int]) -> str:
    """Whether a version is pinned, and in which partitions it is in force.

    >>> _used(3, 3, {0: 3, 1: 2}), _used(2, None, {0: 2, 1: 2}), _used(1, None, {0: 2})
    ('pinned, in force in partition 0', 'in force', '')
    """
    used = [str(partition) for partition, version in in_force.items() if version == number]
    where = "" if len(used) == len(in_force) else f" in partition {', '.join(used)}"
    return ", ".join(["pinned"] * (number == pinned) + [f"in force{where}"] * bool(used))


async def _versions(stores: Stores, config: LiveConfig) -> tuple[list[ModelVersion], int | None, dict[int, int]]:
    in_force = {}
    for number in range(config.kafka.partitions):
        summary = (await stores.states.summaries([number]))[number]
        if summary:
            in_force[number] = msgspec.json.decode(summary, type=Summary).version
    return await stores.models.versions(), await stores.models.pinned(), in_force


def run_show_model(config: LiveConfig, version: int | None, console: Console) -> None:
    """One version, by default that in force: what is known of it, and what its bytes say."""
    versions, _, in_force = _with_stores(config, lambda stores: _versions(stores, config))
    number = max(in_force.values(), default=0) if version is None else version
    if version is None and not number:
        console.print(_NO_VERSION if not versions else _NONE_IN_FORCE, soft_wrap=True)
        return
    told, churn_model = _with_stores(config, lambda stores: _model(stores, number))
    rows = {
        "in force from": _time(told.effective_at),
        "learned from": f"{churn_model.examples:,} examples, {churn_model.churned:,} of them churned",
        "fingerprint": told.fingerprint,
        "stored": f"{told.stored_bytes:,} bytes",
        "shares": ", ".join(f"{name} {share:.2f}" for name, share in churn_model.shares().items()),
        "drift": f"{len(churn_model.drift)} changes of its loss",
    }
    where = _used(number, None, in_force)
    show_table(console, f"Version {number}{f', {where}' if where else ''}", _TWO, list(rows.items()))
    moves = sorted(churn_model.importances.items(), key=lambda one: -one[1])[:8]
    columns = [Column("feature"), Column("mean change of the log-odds")]
    moved = [(name, f"{weight:.3f}") for name, weight in moves]
    show_table(console, "What moved its scores on the last day", columns, moved)


async def _model(stores: Stores, version: int) -> tuple[ModelVersion, ChurnModel]:
    kept = await stores.models.versions()
    found = [one for one in kept if one.number == version]
    stored = await stores.models.snapshot(version)
    if not found or stored is None:
        raise UnknownVersion(number=version, kept=", ".join(str(one.number) for one in kept) or "none")
    return found[0], restore(stored, f"of version {version}")


def run_rollback(config: LiveConfig, version: int | None, console: Console) -> None:
    """Pin a version, or let go of it."""

    async def pin(stores: Stores) -> None:
        await stores.models.pin(version)

    _with_stores(config, pin)
    what = f"Version {version}" if version is not None else "The newest version"
    when = "with the next tick"
    if config.ticks.clock == "log":
        when += ", which a published log has only where it goes on (ticks.clock is log)"
    console.print(f"{what} is put in force {when}.")


def _with_stores(config: LiveConfig, work: Callable[[Stores], Awaitable[T]]) -> T:
    async def run() -> T:
        stores = open_stores(config)
        try:
            return await work(stores)
        finally:
            await stores.close()

    return asyncio.run(run())


def _time(at: int) -> str:
    return (EPOCH + at * MICROSECOND).isoformat(timespec="seconds")

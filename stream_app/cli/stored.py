"""`stream-app state` and `stream-app model` as people see them."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.table import Table

from stream_app.adapters.partitioner import partition_of
from stream_app.config import LiveConfig
from stream_app.core.alerts import Ranking
from stream_app.core.codec import decode_customers
from stream_app.core.customer import Customer
from stream_app.core.events import EPOCH, MICROSECOND
from stream_app.core.lane import Summary
from stream_app.core.learner import Learner
from stream_app.core.snapshot import restore
from stream_app.core.state import DAY_US, EMPTY, SLOTS, TIME_SLOTS
from stream_app.errors import BadOption, UnknownCustomer, UnknownVersion
from stream_app.ports import ModelVersion
from stream_app.service.stores import Stores, open_stores

T = TypeVar("T")


def run_show_state(config: LiveConfig, customer: str, form: str, console: Console) -> None:
    """Show a customer, as a table on the terminal or as JSON on standard output."""
    if form not in ("table", "json"):
        raise BadOption(option="--format", value=form, remedy="Give table or json.")
    found = _with_stores(config, lambda stores: _find(stores, config, customer))
    if form == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        return
    table = Table(title=f"Customer {customer}", show_header=False)
    for name, value in found.items():
        if name not in ("facts", "waiting"):
            table.add_row(name, str(value))
    console.print(table)
    waiting = Table(
        "decided at", "probability", "version", "ordered since", title="Decisions that wait for their label"
    )
    for one in found["waiting"]:
        waiting.add_row(one["decided_at"], f"{one['probability']:.3f}", str(one["version"]), str(one["returned"]))
    console.print(waiting)
    facts = Table("fact", "value", title="Facts")
    for name, value in found["facts"].items():
        facts.add_row(name, _time(round(value * DAY_US)) if name in TIME_SLOTS else f"{value:g}")
    console.print(facts)


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
        "episode": customer.episode.alert_id if customer.episode else None,
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
            name: value for name, value, empty in zip(SLOTS, customer.facts, EMPTY, strict=True) if value != empty
        },
    }


def run_list_models(config: LiveConfig, console: Console) -> None:
    """A table of the versions that are kept, the newest last."""
    versions, pinned, in_force = _with_stores(config, lambda stores: _versions(stores, config))
    table = Table("version", "in force from", "examples", "bytes", "fingerprint", "", title="Versions of the model")
    for one in versions:
        mark = "pinned" if one.number == pinned else ""
        used = [str(number) for number, version in in_force.items() if version == one.number]
        mark += f" in force in {', '.join(used)}" if used else ""
        table.add_row(
            str(one.number),
            _time(one.effective_at),
            f"{one.examples:,}",
            f"{one.stored_bytes:,}",
            one.fingerprint[:12],
            mark.strip(),
        )
    console.print(
        table
        if versions
        else "No version yet: the first comes with the first labels, a horizon after the first decisions."
    )


async def _versions(stores: Stores, config: LiveConfig) -> tuple[list[ModelVersion], int | None, dict[int, int]]:
    in_force = {}
    for number in range(config.kafka.partitions):
        summary = (await stores.states.summaries([number]))[number]
        if summary:
            in_force[number] = msgspec.json.decode(summary, type=Summary).version
    return await stores.models.versions(), await stores.models.pinned(), in_force


def run_show_model(config: LiveConfig, version: int, console: Console) -> None:
    """One version: what is known of it, and what its bytes say."""
    told, learner = _with_stores(config, lambda stores: _model(stores, version))
    table = Table(title=f"Version {version}", show_header=False)
    rows = {
        "in force from": _time(told.effective_at),
        "learned from": f"{learner.examples:,} examples, {learner.churned:,} of them churned",
        "fingerprint": told.fingerprint,
        "stored": f"{told.stored_bytes:,} bytes",
        "shares": ", ".join(f"{name} {share:.2f}" for name, share in learner.shares().items()),
        "drift": f"{len(learner.drift)} changes of its loss",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    moves = sorted(learner.importances.items(), key=lambda one: -one[1])[:8]
    weights = Table("feature", "mean change of the log-odds", title="What moved its scores on the last day")
    for name, weight in moves:
        weights.add_row(name, f"{weight:.3f}")
    console.print(weights)


async def _model(stores: Stores, version: int) -> tuple[ModelVersion, Learner]:
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

"""Stored values of customers and partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from stream_app.core.alerts.lifecycle import Alert
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.staff_actions import AlertNote, WorkNote
from stream_app.core.customers.codec.states import encode_customers
from stream_app.core.customers.customer import Customer
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import Outgoing, unpack
from stream_app.core.partition.progress import Summary
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from tests.harness.processes.outcome import ids_of, ranked_customers
from tests.harness.stored.keyspace import entries_of


def customer_values(customer: Customer) -> dict[str, Any]:
    return {
        "facts": list(customer.vector),
        "marks": list(customer.counters),
        "ids": ids_of(customer),
        "due": customer.due,
        "fresh": customer.fresh,
        "decisions": [
            [
                one.decided_at,
                one.features.hex(),
                one.log_odds.hex(),
                one.probability,
                one.source,
                one.version,
                one.returned,
            ]
            for one in customer.waiting
        ],
        "episode": _episode(customer.alert),
        "cases": [
            [
                *(due, kind, case.alert_id, case.expires_at, case.owner, case.acked_at, case.snoozed_until),
                case.resolved,
            ]
            for (due, kind), case in customer.cases.items()
        ],
    }


def _episode(one: Alert | None) -> list[Any] | None:
    if one is None:
        return None
    seen, gap = one.candidate, one.candidate.usual_gap_days
    return [
        *(one.alert_id, one.customer, one.opened_at, one.expires_at, one.rank, one.bar),
        *(one.owner, one.acked_at, one.snoozed_until, one.likeliest_cause, one.segment),
        *(seen.at, seen.rank_value, seen.probability, seen.monthly_worth, seen.silent_days),
        *(None if gap != gap else gap, seen.source, seen.version, seen.shop_id),  # noqa: PLR0124 - NaN
    ]


@dataclass
class Restored:
    customers: list[Customer]
    ranking: Ranking

    @classmethod
    def of(cls, stored: Sequence[tuple[str, bytes]], settings: Settings) -> Restored:
        return cls(*ranked_customers(stored, settings))

    def values(self) -> dict[str, Any]:
        rows = self.ranking.rows(np.arange(len(self.customers)))
        ranks = zip(*(_numbers(getattr(rows, name)) for name in ("earlier", "last", "last_at", "latest")), strict=True)
        return {
            ascii(one.name): {**customer_values(one), "ranks": list(row)}
            for one, row in zip(self.customers, ranks, strict=True)
        }

    def written_again(self) -> list[bytes]:
        return encode_customers(self.customers, self.ranking)


def _numbers(column: Any) -> list[Any]:
    return [None if one != one else one for one in column.tolist()]  # noqa: PLR0124 - NaN


def states_of(keyspace: Mapping[str, Any], partition: int) -> list[tuple[str, bytes]]:
    """Return the names and bytes of a partition's customers."""
    found = entries_of(keyspace, f"{{p{partition}}}:states")
    return [(name.decode("utf-8", "surrogatepass"), value) for name, value in found.items()]


def partition_values(keyspace: Mapping[str, Any], number: int, settings: Settings) -> dict[str, Any]:
    """Return the stored values of a partition, and figures of the restored partition."""
    meta = entries_of(keyspace, f"{{p{number}}}:meta")
    task = PartitionTask(number, {role: role for role in ROLES}, settings, Limits())
    task.restore(states_of(keyspace, number))
    position = task.begin(meta[b"position"], meta[b"summary"])
    alerts = entries_of(keyspace, f"{{p{number}}}:episodes")
    kinds = {True: WorkNote, False: AlertNote}
    return {
        "position": msgspec.to_builtins(position),
        "summary": without_schema(meta[b"summary"]),
        "customers": len(task.processor.customers),
        "open": sorted(map(ascii, task.processor.alerts.open)),
        "counts": vars(task.processor.counts),
        "next_due": task.processor.decisions.timers.next_due,
        "shops": task.processor.aggregator.shops.names,
        "episodes": {
            key.decode(): msgspec.to_builtins(msgspec.json.decode(note, type=kinds[key.endswith(b":work")]))
            for key, note in alerts.items()
        },
        "outbox": [_outbox_record(one) for one in keyspace.get(f"{{p{number}}}:outbox", ("list", []))[1]],
    }


def without_schema(summary: bytes) -> dict[str, Any]:
    """Return a partition's summary without the name of its schema."""
    found: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(summary, type=Summary))
    del found["schema"]
    return found


def _outbox_record(packed: bytes) -> dict[str, Any]:
    one = unpack(packed, Outgoing)
    return {"topic": one.topic, "partition": one.partition, "key": one.key, "value": one.value, "headers": one.headers}

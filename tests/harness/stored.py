"""What is stored, read by the present code into plain values that no class, module or attribute name appears in.

`tests/data/upgrade/generate.py` writes down what a release reads out of its own store; `test_upgrade.py` compares the
present release with it. Names that appear in the result are those of the stored formats, so they never change.
"""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import redis
import xxhash

from stream_app.core.alerts.lifecycle import Alert, Ranking
from stream_app.core.alerts.staff_actions import AlertNote, WorkNote
from stream_app.core.allocation.allocator import Allocator, AllocatorPosition
from stream_app.core.customers.codec.states import decode_customers, encode_customers
from stream_app.core.customers.customer import Customer
from stream_app.core.delivery.answer import Delivered
from stream_app.core.delivery.records import (
    ChannelState,
    Delivery,
    DeliveryState,
    MessageText,
    OutboundMessage,
    Request,
    decode_record,
    encode_record,
)
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.events.schema import decode as decode_event
from stream_app.core.events.schema import encode as encode_event
from stream_app.core.messages.alerts import AlertOpened, decode_alert
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, ScoreRecords
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outgoing import Outgoing, pack, unpack
from stream_app.core.messages.schema import decode_message, encode_message
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.cohorts import Cohorts
from stream_app.core.model.labels import Matured
from stream_app.core.model.snapshot import fingerprint, restore
from stream_app.core.partition.progress import Position, Summary
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from stream_app.core.state.frame import StateFrame
from stream_app.core.training.quality import WINDOWS, Quality
from stream_app.core.training.trainer import Checkpoint, Trainer
from stream_app.core.units import DAY_US
from stream_app.ports import ModelVersion

Keyspace = dict[str, tuple[str, Any]]  # key without its prefix -> type, entries
PREDICTED: Final = 50  # customers whose predictions are written down
DELIVER: Final = "{deliver}:"
MODEL: Final = "{model}:"


# --- files -----------------------------------------------------------------------------------------------------------


def write_packed(path: Path, value: Any) -> None:
    """Write plain values with bytes among them."""
    path.write_bytes(lzma.compress(msgspec.msgpack.encode(value), preset=9 | lzma.PRESET_EXTREME))


def read_packed(path: Path) -> Any:
    """Return what `write_packed` wrote."""
    return msgspec.msgpack.decode(lzma.decompress(path.read_bytes()))


def write_json(path: Path, value: Any) -> None:
    """Write plain values as compressed JSON, so that `xzcat` shows them."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1)
    path.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


def read_json(path: Path) -> Any:
    """Return what `write_json` wrote."""
    return msgspec.json.decode(lzma.decompress(path.read_bytes()))


# --- Redis -----------------------------------------------------------------------------------------------------------


def export(client: redis.Redis, prefix: str) -> Keyspace:
    """Return all keys under a prefix that do not expire, whatever the version of Redis."""
    found: Keyspace = {}
    readers: dict[str, Callable[[bytes], Any]] = {
        "string": client.get,
        "hash": lambda key: sorted(client.hgetall(key).items()),
        "list": lambda key: client.lrange(key, 0, -1),
        "set": lambda key: sorted(client.smembers(key)),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    for key in sorted(client.scan_iter(match=f"{prefix}:*")):
        if client.ttl(key) == -1:
            kind = client.type(key).decode()  # type: ignore[union-attr]
            found[key.decode().removeprefix(f"{prefix}:")] = (kind, readers[kind](key))
    return found


def load(client: redis.Redis, prefix: str, keyspace: Mapping[str, Any]) -> None:
    """Write exported keys under a prefix."""
    for name, (kind, entries) in keyspace.items():
        key = f"{prefix}:{name}"
        if kind == "string":
            client.set(key, entries)
        elif kind == "hash":
            client.hset(key, mapping=dict(entries))
        elif kind == "list":
            client.rpush(key, *entries)
        elif kind == "set":
            client.sadd(key, *entries)
        else:
            client.zadd(key, dict(entries))


def entries_of(keyspace: Mapping[str, Any], name: str) -> dict[bytes, Any]:
    """Return the fields of an exported hash; nothing, if there is none."""
    return dict(keyspace[name][1]) if name in keyspace else {}


# --- customers -------------------------------------------------------------------------------------------------------


def customer_values(customer: Customer) -> dict[str, Any]:
    """Return all that is stored of a customer."""
    return {
        "facts": list(customer.vector),
        "marks": list(customer.counters),
        "ids": list(customer.ids),
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
        *(one.owner, one.acked_at, one.snoozed_until, one.cause, one.segment),
        *(seen.at, seen.rank_value, seen.probability, seen.monthly_worth, seen.silent_days),
        *(None if gap != gap else gap, seen.source, seen.version, seen.shop_id),  # noqa: PLR0124 - NaN
    ]


@dataclass
class Restored:
    """Customers that were decoded, with their ranking."""

    customers: list[Customer]
    ranking: Ranking

    @classmethod
    def of(cls, stored: Sequence[tuple[str, bytes]], settings: Settings) -> Restored:
        """Decode stored customers and rank them."""
        restored, ranking = decode_customers(stored, settings.horizon), Ranking(settings.agreement)
        ranking.reserve(len(restored.customers))
        for index, customer in enumerate(restored.customers):
            customer.index = index
        restored.rank(ranking)
        return cls(restored.customers, ranking)

    def values(self) -> dict[str, Any]:
        """Return all that is stored of each customer, by name."""
        rows = self.ranking.rows(np.arange(len(self.customers)))
        ranks = zip(*(_numbers(getattr(rows, name)) for name in ("earlier", "last", "last_at", "latest")), strict=True)
        return {
            ascii(one.name): {**customer_values(one), "ranks": list(row)}
            for one, row in zip(self.customers, ranks, strict=True)
        }

    def written_again(self) -> list[bytes]:
        """Return what is stored of the customers as they are."""
        return encode_customers(self.customers, self.ranking)


def _numbers(column: Any) -> list[Any]:
    return [None if one != one else one for one in column.tolist()]  # noqa: PLR0124 - NaN


def states_of(keyspace: Mapping[str, Any], partition: int) -> list[tuple[str, bytes]]:
    """Return the names and bytes of a partition's customers."""
    found = entries_of(keyspace, f"{{p{partition}}}:states")
    return [(name.decode("utf-8", "surrogatepass"), value) for name, value in found.items()]


# --- partitions ------------------------------------------------------------------------------------------------------


def partition_values(keyspace: Mapping[str, Any], number: int, settings: Settings) -> dict[str, Any]:
    """Return what a worker reads of a partition, and what it knows after it has restored it."""
    meta = entries_of(keyspace, f"{{p{number}}}:meta")
    task = PartitionTask(number, {role: role for role in ROLES}, settings, Limits())
    task.restore(states_of(keyspace, number))
    position = task.begin(meta[b"position"], meta[b"summary"])
    alerts = entries_of(keyspace, f"{{p{number}}}:episodes")
    kinds = {True: WorkNote, False: AlertNote}
    return {
        "position": msgspec.to_builtins(position),
        "summary": _without_schema(meta[b"summary"]),
        "customers": len(task.processor.customers),
        "open": sorted(map(ascii, task.processor.alerts.open)),
        "counts": vars(task.processor.counts),
        "next_due": task.processor.timers.next_due,
        "shops": task.processor.aggregator.shops.names,
        "episodes": {
            key.decode(): msgspec.to_builtins(msgspec.json.decode(note, type=kinds[key.endswith(b":work")]))
            for key, note in alerts.items()
        },
        "outbox": [_outbox_record(one) for one in keyspace.get(f"{{p{number}}}:outbox", ("list", []))[1]],
    }


def _without_schema(summary: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(summary, type=Summary))
    del found["schema"]  # the present program's name for what it stores
    return found


def _outbox_record(packed: bytes) -> dict[str, Any]:
    one = unpack(packed, Outgoing)
    return {"topic": one.topic, "partition": one.partition, "key": one.key, "value": one.value, "headers": one.headers}


# --- the model -------------------------------------------------------------------------------------------------------


def checkpoint_values(stored: bytes, horizon: int, capacity: int) -> dict[str, Any]:
    """Return what the trainer reads of its checkpoint."""
    checkpoint = msgspec.msgpack.decode(stored, type=Checkpoint)
    training = Trainer.restored(stored, len(checkpoint.read), horizon, capacity)
    return {
        "through": training.through,
        "read": {str(number): [one.offset, one.sequence] for number, one in training.read.items()},
        "horizon": checkpoint.horizon,
        "floors": {str(number): moment for number, moment in checkpoint.floors.items()},
        "learner": learner_values(training.churn_model),
        "quality": quality_values(training.quality),
    }


def learner_values(churn_model: ChurnModel) -> dict[str, Any]:
    """Return what a model says of itself. Columns and features are in their order, without their names."""
    days, loss = churn_model.drift_window
    return {
        "fingerprint": fingerprint(churn_model),
        "version": churn_model.version,
        "churned": churn_model.churned,
        "retained": churn_model.retained,
        "source": churn_model.source,
        "level": churn_model.level,
        "shares": list(churn_model.shares().values()),
        "importances": list(churn_model.importances.values()),
        "drift": [[one.at, one.before, one.after] for one in churn_model.drift],
        "drift_window": [days, None if loss != loss else loss],  # noqa: PLR0124 - NaN
        "columns": len(churn_model.names),
    }


def quality_values(quality: Quality) -> dict[str, Any]:
    """Return the figures of quality, by window and then by scorer in their order."""
    return {
        window: [
            None if (found := quality.figures(scorer, window)) is None else list(vars(found).values())
            for scorer in quality.scorers
        ]
        for window in WINDOWS
    }


def predictions(churn_model: ChurnModel, customers: Sequence[Customer], at: int, horizon: int) -> dict[str, Any]:
    """Return what a model says of customers at a moment: to the last bit, as hexadecimal numbers.

    Args:
        learner: the model.
        customers: whose facts it sees.
        at: the moment, microseconds.
        horizon: microseconds.
    """
    vector = np.array([list(one.vector) for one in customers])
    view = StateFrame(vector, np.full(len(customers), at / DAY_US), horizon / DAY_US)
    scores, quick = churn_model.decide(view), churn_model.score(view)
    return {
        ascii(one.name): {
            "features": scores.features[row].tobytes().hex(),
            "log_odds": scores.log_odds[row].tobytes().hex(),
            "probability": float(scores.probability[row]).hex(),
            "quick": float(quick[row]).hex(),
        }
        for row, one in enumerate(customers)
    }


def learn_on(churn_model: ChurnModel, customers: Sequence[Customer], horizon: int) -> None:
    """Let a model learn from decisions of customers that wait for their labels, every second one as churned."""
    waiting = [one for customer in customers for one in customer.waiting]
    days: dict[int, list[Matured]] = {}
    for place, pending in enumerate(sorted(waiting, key=lambda one: (one.decided_at, one.customer))):
        day = pending.decided_at // DAY_US
        days.setdefault(day, []).append(Matured(pending, place % 2, pending.decided_at + horizon))
    for day, matured in sorted(days.items()):
        cohorts = Cohorts()
        cohorts.record_decisions([one.pending for one in matured])
        churn_model.record_cohorts(cohorts)
        churn_model.learn_day(matured, (day + 1) * DAY_US + horizon)


# --- the allocator and the deliveries --------------------------------------------------------------------------------


def desk_values(keyspace: Mapping[str, Any], settings: Settings, partitions: int) -> dict[str, Any]:
    """Return what the allocator reads of its position."""
    allocator = Allocator(partitions, settings, lambda _: 0)
    allocator.begin(entries_of(keyspace, "{p-1}:meta")[b"position"])
    return {
        "read": {str(number): [one.offset, one.sequence] for number, one in allocator.position.read.items()},
        "moment": allocator.position.moment,
        "sequence": allocator.position.sequence,
        "fetched": [allocator.fetched(number) for number in range(partitions)],
    }


class _Writer:
    """Writes nothing that matters: stored messages have their words."""

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        return MessageText(f"{alert.alert_id} on {route.channel}", "", "")

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        return [(MessageText(f"digest on {route.channel}", "", ""), tuple(one.alert_id for one in alerts))]


def stored_deliveries(keyspace: Mapping[str, Any]) -> DeliveryState:
    """Return what the deliveries' store hands to a deliverer that starts."""
    meta, every = entries_of(keyspace, DELIVER + "meta"), entries_of(keyspace, DELIVER + "deliveries")
    messages = entries_of(keyspace, DELIVER + "letters")
    pending = [every[one] for one in keyspace[DELIVER + "open"][1]]
    wanted = {decode_record(one, Delivery).message.encode() for one in pending} - {b""}
    channels = {name.decode(): one for name, one in entries_of(keyspace, DELIVER + "channels").items()}
    dead = len(keyspace[DELIVER + "dead"][1])
    return DeliveryState(
        int(meta[b"number"]), meta[b"position"], pending, [messages[one] for one in sorted(wanted)], channels, dead
    )


def delivery_values(keyspace: Mapping[str, Any], channels: Sequence[str], now: int) -> dict[str, Any]:
    """Return what the deliverer reads of its store, and what it sends at a moment.

    Args:
        keyspace: exported.
        channels: names; each takes every alert, of which none but the urgent goes alone.
        now: the moment, microseconds.
    """
    scheduler = DeliveryScheduler([Route(name) for name in channels], Policy(live=True), _Writer())
    scheduler.begin(stored_deliveries(keyspace), now)
    found: dict[str, Any] = {
        "position": {str(number): offset for number, offset in scheduler.position.items()},
        "pending": dict(scheduler.pending()),
        "oldest": scheduler.oldest(),
        "dead": scheduler.dead,
        "unreadable": scheduler.unreadable,
        "channels": {name: msgspec.to_builtins(one) for name, one in scheduler.channels.items()},
        "sent": {},
    }
    for name in channels:
        if scheduler.write_digest(name, now) and (changes := scheduler.take_changes()) is not None:
            scheduler.confirm(changes)
        while (message := scheduler.next_message(name, now)) is not None:
            found["sent"].setdefault(name, []).append(
                [message.id, message.title, message.attempts, *message.deliveries]
            )
            scheduler.record_answer(message.id, Delivered(), now, now)
    outcomes: Counter[tuple[str, str, str]] = scheduler.outcomes
    found["outcomes"] = sorted([*key, count] for key, count in outcomes.items())
    return found


# --- messages, and records of the deliveries -------------------------------------------------------------------------

_json: Final = msgspec.json.encode


def _of(kind: type) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return lambda value: msgspec.json.decode(value, type=kind), _json


def _packed(kind: type) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    return lambda value: unpack(value, kind), msgspec.msgpack.encode


# Kind, as the fixtures name it -> how the present program reads and writes it.
KINDS: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]]] = {
    "event": (decode_event, encode_event),
    "system message": (decode_message, encode_message),  # ticks, contacts and the allocator's markers
    "alert": (decode_alert, encode_message),
    "labelled": (lambda value: unpack(value, LabelledBatch), pack),
    "nominated": (lambda value: unpack(value, CandidateBatch), pack),
    "scored": (lambda value: msgspec.json.decode(value, type=ScoreRecords), encode_message),
    "outbox record": (lambda value: unpack(value, Outgoing), pack),
    "position": _of(Position),
    "allocator's position": _of(AllocatorPosition),
    "checkpoint": _packed(Checkpoint),
    "model version": _of(ModelVersion),
    "episode note": _of(AlertNote),
    "work note": _of(WorkNote),
    "delivery": (lambda value: decode_record(value, Delivery), encode_record),
    "letter": (lambda value: decode_record(value, OutboundMessage), encode_record),
    "channel state": (lambda value: decode_record(value, ChannelState), encode_record),
    "request": (lambda value: decode_record(value, Request), encode_record),
}


def message_value(kind: str, value: bytes) -> Any:
    """Return what is read of a stored or sent value, under the names that it has in the value."""
    return msgspec.json.decode(_json(KINDS[kind][0](value)))


def message_again(kind: str, value: bytes) -> bytes:
    """Return what is written of a value that was read."""
    read, write = KINDS[kind]
    return write(read(value))


def summary_value(value: bytes) -> Any:
    """Return what is read of a partition's summary."""
    return msgspec.json.decode(_json(_without_schema(value)))


# --- all of it -------------------------------------------------------------------------------------------------------


def read_keyspace(
    keyspace: Mapping[str, Any],
    settings: Settings,
    partitions: int,
    models: Mapping[str, bytes],
    channels: Sequence[str],
    now: int,
) -> Any:
    """Return all that the services read of a keyspace, as JSON has it.

    Args:
        keyspace: exported.
        settings: of the shop.
        partitions: how many there are.
        models: the content of the signed values: "checkpoint", and each version by its number.
        channels: of the deliveries.
        now: the moment at which the deliverer starts, microseconds.
    """
    restored = [Restored.of(states_of(keyspace, number), settings) for number in range(partitions)]
    customers = sorted((one for part in restored for one in part.customers), key=lambda one: one.name)[:PREDICTED]
    at = max(partition_values(keyspace, n, settings)["summary"]["stream_time"] for n in range(partitions))
    learners = {name: restore(value) for name, value in models.items() if name != "checkpoint"}
    found: dict[str, Any] = {
        "customers": {name: one for part in restored for name, one in part.values().items()},
        "partitions": [partition_values(keyspace, number, settings) for number in range(partitions)],
        "checkpoint": checkpoint_values(models["checkpoint"], settings.horizon, settings.capacity),
        "versions": {name: learner_values(one) for name, one in learners.items()},
        "known versions": {
            number.decode(): message_value("model version", one)
            for number, one in entries_of(keyspace, MODEL + "versions").items()
        },
        "predictions": {
            name: predictions(one, customers, at, settings.horizon) for name, one in sorted(learners.items())
        },
        "desk": desk_values(keyspace, settings, partitions),
        "deliveries": delivery_values(keyspace, channels, now),
    }
    churn_model = restore(models[max(learners, key=int)])
    learn_on(churn_model, customers, settings.horizon)
    found["learned on"] = learner_values(churn_model)
    found["predictions after it"] = predictions(churn_model, customers, at, settings.horizon)
    return msgspec.json.decode(_json(found))


def plain_outcome(after: Any, before: Any) -> dict[str, Any]:
    """Return what came of a log, short: a hash of each customer's state, label, alert and version.

    Args:
        after: tests.harness.live.Outcome.
        before: the same at an earlier moment: labels, alerts and versions that it has are left out.
    """

    def hashed(value: Any) -> str:
        return xxhash.xxh3_64_hexdigest(_json(value))

    return {
        "states": {name: hashed(value) for name, value in sorted(after.states.items())},
        "labels": {
            f"{customer} {at}": hashed(value)
            for (customer, at), value in sorted(after.labels.items())
            if (customer, at) not in before.labels
        },
        "opened": {name: hashed(one) for name, one in sorted(after.opened.items()) if name not in before.opened},
        "closed": {name: hashed(one) for name, one in sorted(after.closed.items()) if name not in before.closed},
        "versions": {str(number): one for number, one in after.versions.items() if number not in before.versions},
        "model": after.model,
    }

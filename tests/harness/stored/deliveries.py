"""Stored values of the allocator and the notifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from stream_app.core.allocation.allocator import Allocator
from stream_app.core.delivery.answer import Delivered
from stream_app.core.delivery.records import (
    Delivery,
    DeliveryState,
    MessageText,
    decode_record,
)
from stream_app.core.delivery.routing import Policy, Route
from stream_app.core.delivery.scheduler import DeliveryScheduler
from stream_app.core.messages.alerts import AlertOpened
from stream_app.core.settings import Settings
from tests.harness.stored.keyspace import entries_of

DELIVER: Final = "{deliver}:"


def desk_values(keyspace: Mapping[str, Any], settings: Settings, partitions: int) -> dict[str, Any]:
    allocator = Allocator(partitions, settings, lambda _: 0)
    allocator.begin(entries_of(keyspace, "{p-1}:meta")[b"position"])
    return {
        "read": {str(number): [one.offset, one.sequence] for number, one in allocator.position.read.items()},
        "moment": allocator.position.moment,
        "sequence": allocator.position.sequence,
        "fetched": [allocator.fetched(number) for number in range(partitions)],
    }


class _Writer:
    """Composer of placeholders. Stored messages keep their texts."""

    def alert(self, alert: AlertOpened, route: Route) -> MessageText:
        return MessageText(f"{alert.alert_id} on {route.channel}", "", "")

    def digest(self, alerts: Sequence[AlertOpened], route: Route) -> list[tuple[MessageText, tuple[str, ...]]]:
        return [(MessageText(f"digest on {route.channel}", "", ""), tuple(one.alert_id for one in alerts))]


def stored_deliveries(keyspace: Mapping[str, Any]) -> DeliveryState:
    """Return the state that a starting notifier loads."""
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
    """Return the notifier's stored values, and the messages that it sends at a moment.

    Args:
        keyspace: exported.
        channels: names; each receives every alert, the urgent ones separately.
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

"""Stored data read by the present code, as plain values without names of classes, modules or attributes.

`tests/data/upgrade/generate.py` records what a release reads from its own store; `test_upgrade.py` compares the present
release with it. Names in the result are those of the stored formats, so they never change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import xxhash

from stream_app.core.model.snapshot import restore
from stream_app.core.settings import Settings
from tests.harness.stored.deliveries import delivery_values, desk_values
from tests.harness.stored.keyspace import (
    entries_of,
    export,
    load,
    read_json,
    read_packed,
    write_json,
    write_packed,
)
from tests.harness.stored.messages import KINDS, message_again, message_value, summary_value
from tests.harness.stored.models import checkpoint_values, learn_on, learner_values, predictions
from tests.harness.stored.states import Restored, partition_values, states_of

__all__ = [
    "KINDS",
    "Restored",
    "entries_of",
    "export",
    "learner_values",
    "load",
    "message_again",
    "message_value",
    "plain_outcome",
    "read_json",
    "read_keyspace",
    "read_packed",
    "states_of",
    "summary_value",
    "write_json",
    "write_packed",
]

PREDICTED: Final = 50  # customers whose predictions are recorded
MODEL: Final = "{model}:"
_json: Final = msgspec.json.encode


def read_keyspace(
    keyspace: Mapping[str, Any],
    settings: Settings,
    partitions: int,
    models: Mapping[str, bytes],
    channels: Sequence[str],
    now: int,
) -> Any:
    """Return everything that the services read from a keyspace, as JSON values.

    Args:
        keyspace: exported.
        settings: the shop's settings.
        partitions: their number.
        models: the content of the signed values: "checkpoint", and each version by its number.
        channels: of the deliveries.
        now: the moment at which the notifier starts, microseconds.
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
    """Return the short outcome of a log: a hash of each customer's state, label, alert and version.

    Args:
        after: a tests.harness.processes.Outcome.
        before: an earlier outcome, whose labels, alerts and versions are left out.
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

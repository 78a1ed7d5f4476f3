"""Creates and checks the topics with kafka-python's admin client."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from kafka.admin import ConfigResource, KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stream_app.adapters.kafka.refusals import refusal, refusals, why_no_connection
from stream_app.config import FOREVER, INPUTS, OUTPUTS, LiveConfig, client_options
from stream_app.core.durations import format_duration
from stream_app.core.units import MILLISECOND_US
from stream_app.errors import KafkaDenied, NoBroker, WrongTopics

_CONNECT_MS: Final = 10_000
_TIMESTAMPS: Final = "message.timestamp.type"
_RETENTION: Final = "retention.ms"
_CLEANUP: Final = "cleanup.policy"
_LARGEST: Final = "max.message.bytes"
# Minimum for max.message.bytes: the size of our largest record (MAX_RECORD_BYTES), or of a batch of small ones.
_NEEDED_BYTES: Final = {
    "labelled": 1_000_000,
    "nominations": 1_000_000,
    "contacts": 65_536,
    "control": 65_536,
    "ticks": 65_536,
    "scores": 1_000_000,
    "alerts": 65_536,
    "dead_letters": 1_000_000,
}
# Records refused by these topics are truncated or dropped, and counted. On other topics, the services would stop.
_MAY_LACK: Final = frozenset({"scores", "alerts", "dead_letters"})


class Severity(StrEnum):
    """Severity of a mismatch."""

    ERROR = "error"  # events would be lost, reordered or sent to the wrong worker: workers do not start
    WARNING = "warning"  # data is less safe than configured


@dataclass(frozen=True)
class Mismatch:
    """A difference between a topic and the settings, with its remedy."""

    topic: str
    severity: Severity
    problem: str
    remedy: str
    unequal: bool = False  # the topic is missing or has the wrong number of partitions


@dataclass(frozen=True)
class Found:
    """A topic as it exists on the broker."""

    partitions: int
    replication: int  # number of replicas of the partition with the fewest
    configs: Mapping[str, str]


def create_topics(config: LiveConfig) -> list[str]:
    """Create missing topics and return their names; existing topics are not changed.

    Raises:
        NoBroker: Kafka does not answer or refuses the request.
    """
    wanted = config.kafka.topics.of(*INPUTS, *OUTPUTS)
    with _admin(config) as admin:
        there = set(admin.list_topics())
        made = []
        for role, name in wanted.items():
            if name in there:
                continue
            topic = {
                "num_partitions": config.kafka.partitions,
                "replication_factor": config.kafka.replication,
                "configs": wanted_configs(config, role),
            }
            with suppress(TopicAlreadyExistsError), refusals("Create", name):  # created by another process meanwhile
                admin.create_topics({name: topic})
                made.append(name)
        if made:
            admin.wait_for_topics(made)
    return made


def check_topics(config: LiveConfig, roles: Sequence[str] = (*INPUTS, *OUTPUTS)) -> list[Mismatch]:
    """Return the differences between the topics and the settings, errors first. Raises NoBroker."""
    names = config.kafka.topics.of(*roles)
    with _admin(config) as admin:
        found = _describe(admin, list(names.values()))
    mismatches = [mismatch for role, name in names.items() for mismatch in compare(config, role, name, found.get(name))]
    return sorted(mismatches, key=lambda mismatch: mismatch.severity)  # "error" sorts before "warning"


def require_topics(config: LiveConfig, roles: Sequence[str] = (*INPUTS, *OUTPUTS)) -> list[Mismatch]:
    """Check topics and return the warnings. Raises WrongTopics if there are errors."""
    if not config.kafka.check_topics:  # the demo's broker has no admin API
        return []
    mismatches = check_topics(config, roles)
    errors = [mismatch for mismatch in mismatches if mismatch.severity is Severity.ERROR]
    if errors:
        raise WrongTopics(count=len(errors), problems="; ".join(f"{one.topic} {one.problem}" for one in errors[:5]))
    return mismatches


def wanted_configs(config: LiveConfig, role: str) -> dict[str, str]:
    """Return the required topic-level settings of a topic.

    >>> wanted_configs(LiveConfig(), "orders")["message.timestamp.type"]
    'LogAppendTime'
    """
    retention = config.kafka.retention_of(role)
    return {
        # With CreateTime, records of a past log would be deleted by the first retention check.
        _TIMESTAMPS: "LogAppendTime",
        _RETENTION: str(FOREVER if retention == FOREVER else retention // MILLISECOND_US),
        _CLEANUP: "delete",
        # With three replicas an acknowledged record survives the loss of one broker.
        "min.insync.replicas": "2" if config.kafka.replication > 2 else "1",
    }


def compare(config: LiveConfig, role: str, name: str, found: Found | None) -> Iterator[Mismatch]:
    """Compare a topic with the settings and yield the differences.

    >>> wrong = Found(8, 1, wanted_configs(LiveConfig(), "orders"))
    >>> [mismatch.problem for mismatch in compare(LiveConfig(), "orders", "shop.orders", wrong)]
    ['has 8 partitions, kafka.partitions is 4']
    """
    if found is None:
        yield Mismatch(name, Severity.ERROR, "is missing", "Run `stream-app topics create`.", unequal=True)
        return
    wanted = config.kafka
    if found.partitions != wanted.partitions:
        problem = f"has {found.partitions} partitions, kafka.partitions is {wanted.partitions}"
        remedy = _repartition(found.partitions, wanted.partitions)
        yield Mismatch(name, Severity.ERROR, problem, remedy, unequal=True)
    if found.replication < wanted.replication:
        problem = f"has {found.replication} replicas, kafka.replication is {wanted.replication}"
        remedy = "Reassign its partitions to more brokers with kafka-reassign-partitions.sh."
        yield Mismatch(name, Severity.WARNING, problem, remedy)
    for key, value in wanted_configs(config, role).items():
        if key != _RETENTION and found.configs.get(key) != value:
            severity = (
                Severity.ERROR if key == _CLEANUP or (key == _TIMESTAMPS and role in INPUTS) else Severity.WARNING
            )
            yield Mismatch(name, severity, f"has {key}={found.configs.get(key)}, not {value}", _alter(name, key, value))
    yield from _compare_size(role, name, found)
    yield from _compare_retention(config, role, name, found)


def _compare_size(role: str, name: str, found: Found) -> Iterator[Mismatch]:
    needed = _NEEDED_BYTES.get(role, 0)
    if int(found.configs.get(_LARGEST, needed)) < needed:
        severity = Severity.WARNING if role in _MAY_LACK else Severity.ERROR
        problem = f"has {_LARGEST}={found.configs[_LARGEST]}, but records need up to {needed}"
        yield Mismatch(name, severity, problem, _alter(name, _LARGEST, str(needed)))


def _compare_retention(config: LiveConfig, role: str, name: str, found: Found) -> Iterator[Mismatch]:
    value = wanted_configs(config, role)[_RETENTION]
    kept = int(found.configs.get(_RETENTION, FOREVER)) * MILLISECOND_US
    needed = config.shop.horizon + config.shop.lateness
    if kept >= 0 and role in INPUTS and kept < needed:
        problem = f"retains events for {format_duration(kept)}, but horizon + lateness is {format_duration(needed)}"
        remedy = _alter(name, _RETENTION, str(max(needed // MILLISECOND_US, int(value))))
        yield Mismatch(name, Severity.WARNING, problem, f"Lost state could not be rebuilt. {remedy}")
    elif found.configs.get(_RETENTION) != value:
        problem = f"has {_RETENTION}={found.configs.get(_RETENTION)}, not {value}"
        yield Mismatch(name, Severity.WARNING, problem, _alter(name, _RETENTION, value))


def _repartition(there: int, wanted: int) -> str:
    remedy = f"All topics need the same number. If all others have {there}, set kafka.partitions to {there}"
    if there < wanted:
        # Adding partitions would separate customers from their earlier events, state and timers.
        return f"{remedy}. Adding partitions would move customers; if the topic is empty, delete and recreate it."
    return f"{remedy}; otherwise delete and recreate the topic."


def _alter(name: str, key: str, value: str) -> str:
    where = "--bootstrap-server HOST:PORT --entity-type topics"
    return f"kafka-configs.sh --alter {where} --entity-name {name} --add-config {key}={value}"


def _describe(admin: KafkaAdminClient, names: list[str]) -> dict[str, Found]:
    topics: dict[str, dict[str, Any]] = {}
    for topic in admin.describe_topics(names):
        error = for_code(topic["error_code"])
        if refused := refusal(error(), "Describe", topic["name"]):
            raise refused
        if topic["error_code"] and error.__name__ != "UnknownTopicOrPartitionError":
            raise error(topic["name"])
        if not topic["error_code"]:
            topics[topic["name"]] = topic
    if not topics:
        return {}
    resources = [ConfigResource("TOPIC", name) for name in topics]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    for name in topics:
        if not configs[name]:  # every topic has settings, so their absence means a refusal, which kafka-python hides
            raise KafkaDenied(right="DescribeConfigs", resource=f"the topic {name}")
    return {
        name: Found(
            partitions=len(topic["partitions"]),
            replication=min(len(partition["replica_nodes"]) for partition in topic["partitions"]),
            configs={key: str(config["value"]) for key, config in configs[name].items()},
        )
        for name, topic in topics.items()
    }


@contextmanager
def _admin(config: LiveConfig) -> Iterator[KafkaAdminClient]:
    """Return a context manager that yields an admin client and converts its errors to NoBroker."""
    _require_listener(config)
    try:
        with (
            refusals("Describe"),
            KafkaAdminClient(bootstrap_timeout_ms=_CONNECT_MS, **client_options(config.kafka)) as admin,
        ):
            yield admin
    except KafkaError as error:
        if (cause := why_no_connection(config.kafka)) is not None:
            raise cause from error
        raise NoBroker(bootstrap=config.kafka.bootstrap, problem=str(error) or type(error).__name__) from error


def _require_listener(config: LiveConfig) -> None:
    """Raise NoBroker if no address accepts connections: the client would retry for a long time and hide the reason."""
    problem = ""
    for address in config.kafka.bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_MS / 1_000).close()
        except OSError as error:
            problem = error.strerror or str(error)
        else:
            return
    raise NoBroker(bootstrap=config.kafka.bootstrap, problem=problem.lower())

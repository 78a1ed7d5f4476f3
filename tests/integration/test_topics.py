"""Topics on a real broker: created as required, and every mismatch reported with its remedy."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka.admin import ConfigResource, KafkaAdminClient

from stream_app.adapters.kafka.faust_transport.faults import MOST
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.adapters.kafka.placement import check_placement
from stream_app.adapters.kafka.topics import Mismatch, Severity, check_topics, create_topics, require_topics
from stream_app.config import INPUTS, OUTPUTS, SHOP_TOPICS, LiveConfig, Topics, load_config
from stream_app.core.events.schema import encode
from stream_app.errors import NoBroker, WrongTopics
from tests.harness import raw_kafka
from tests.harness.shops import order

COMMAND = str(Path(sys.executable).parent / "stream-app")


def named(prefix: str) -> dict[str, str]:
    return {f"STREAM_APP_KAFKA__TOPICS__{role.upper()}": f"{prefix}.{role}" for role in Topics.model_fields}


@pytest.fixture
def environ(kafka: str) -> dict[str, str]:
    """Provide settings with topics of the test's own."""
    return {"STREAM_APP_KAFKA__BOOTSTRAP": kafka, "STREAM_APP_KAFKA__PARTITIONS": "3"} | named(f"t{uuid4().hex[:8]}")


@pytest.fixture
def config(environ: dict[str, str]) -> LiveConfig:
    return load_config(environ=environ)


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    with KafkaAdminClient(bootstrap_servers=kafka) as client:
        yield client


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | environ | {"COLUMNS": "400"}
    return subprocess.run([COMMAND, *arguments], env=variables, capture_output=True, text=True, check=False, timeout=60)


def configs_of(admin: KafkaAdminClient, name: str) -> dict[str, str]:
    found = admin.describe_configs([ConfigResource("TOPIC", name)], config_filter="all")["topic"][name]
    return {key: config["value"] for key, config in found.items()}


def test_all_topics_are_created_alike_and_only_once(config: LiveConfig, admin: KafkaAdminClient) -> None:
    made = create_topics(config)
    assert made == list(config.kafka.topics.of(*INPUTS, *OUTPUTS).values())
    assert [len(topic["partitions"]) for topic in admin.describe_topics(made)] == [3] * 12
    orders, scores = (configs_of(admin, name) for name in config.kafka.topics.of("orders", "scores").values())
    assert orders["message.timestamp.type"] == scores["message.timestamp.type"] == "LogAppendTime"
    assert (orders["retention.ms"], scores["retention.ms"]) == (str(90 * 86_400_000), str(30 * 86_400_000))
    assert check_topics(config) == require_topics(config) == []
    assert create_topics(config) == []


def test_existing_topics_stay_as_they_are(config: LiveConfig, admin: KafkaAdminClient) -> None:
    cart = config.kafka.topics.cart
    admin.create_topics({cart: {"num_partitions": 5, "replication_factor": 1}})
    assert cart not in create_topics(config)
    assert len(admin.describe_topics([cart])[0]["partitions"]) == 5
    assert {mismatch.topic for mismatch in check_topics(config)} == {cart}


GOOD: dict[str, Any] = {
    "num_partitions": 3,
    "replication_factor": 1,
    "configs": {
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(90 * 86_400_000),
        "cleanup.policy": "delete",
        "min.insync.replicas": "1",
    },
}


def with_config(**changed: str) -> dict[str, Any]:
    return GOOD | {"configs": GOOD["configs"] | {name.replace("_", "."): value for name, value in changed.items()}}


WRONG = {
    "missing": (None, Severity.ERROR, "is missing", "topics create"),
    "more partitions": (GOOD | {"num_partitions": 4}, Severity.ERROR, "has 4 partitions", "set kafka.partitions to 4"),
    "fewer partitions": (GOOD | {"num_partitions": 2}, Severity.ERROR, "has 2 partitions", "move customers"),
    "time of the sender": (
        with_config(message_timestamp_type="CreateTime"),
        Severity.ERROR,
        "message.timestamp.type=CreateTime, not LogAppendTime",
        "--add-config message.timestamp.type=LogAppendTime",
    ),
    "compaction": (with_config(cleanup_policy="compact"), Severity.ERROR, "compact", "cleanup.policy=delete"),
    "too short": (
        with_config(retention_ms=str(7 * 86_400_000)),
        Severity.WARNING,
        "retains events for 7d, but horizon + lateness is 61d",
        f"retention.ms={90 * 86_400_000}",
    ),
    "other retention": (
        with_config(retention_ms=str(80 * 86_400_000)),
        Severity.WARNING,
        "retention.ms=6912000000, not 7776000000",
        "kafka-configs.sh --alter",
    ),
    "insync": (with_config(min_insync_replicas="2"), Severity.WARNING, "min.insync.replicas=2", "replicas=1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_every_mismatch_is_reported_with_its_remedy(case: str, config: LiveConfig, admin: KafkaAdminClient) -> None:
    topic, severity, problem, remedy = WRONG[case]
    orders = config.kafka.topics.orders
    names = set(config.kafka.topics.of(*INPUTS, *OUTPUTS).values())
    if topic is not None:
        admin.create_topics({orders: topic}, wait_for_metadata=True)
    create_topics(config)
    if topic is None:
        admin.delete_topics([orders])
    (found,) = check_topics(config)
    assert (found.topic, found.severity) == (orders, severity)
    assert problem in found.problem
    assert remedy in found.remedy
    assert check_topics(config, ["cart"]) == []
    if severity is Severity.ERROR:
        with pytest.raises(WrongTopics, match="topics check"):
            require_topics(config)
    else:
        assert require_topics(config) == [found]
    assert names >= {found.topic}


@pytest.mark.parametrize(
    ("role", "largest", "severity"),
    [
        ("labelled", 999_999, Severity.ERROR),
        ("nominations", 10_000, Severity.ERROR),
        ("contacts", 10_000, Severity.ERROR),
        ("control", 10_000, Severity.ERROR),
        ("dead_letters", 10_000, Severity.WARNING),
        ("scores", 10_000, Severity.WARNING),
        ("alerts", 10_000, Severity.WARNING),
    ],
)
def test_a_topic_that_rejects_the_products_records_is_reported(
    config: LiveConfig, admin: KafkaAdminClient, role: str, largest: int, severity: Severity
) -> None:
    create_topics(config)
    name = getattr(config.kafka.topics, role)
    admin.alter_configs([ConfigResource("TOPIC", name, configs={"max.message.bytes": str(largest)})])
    found: list[Mismatch] = []
    until = time.monotonic() + 10
    while not found and time.monotonic() < until:
        found = [one for one in check_topics(config, [role]) if "max.message.bytes" in one.problem]
    assert [(one.topic, one.severity) for one in found] == [(name, severity)]
    assert "--add-config max.message.bytes=" in found[0].remedy


def test_too_few_replicas_are_reported(config: LiveConfig, environ: dict[str, str]) -> None:
    create_topics(config)
    wanting = load_config(environ=environ | {"STREAM_APP_KAFKA__REPLICATION": "3"})
    found = {(one.severity, one.problem) for one in check_topics(wanting)}
    assert (Severity.WARNING, "has 1 replicas, kafka.replication is 3") in found
    assert (Severity.WARNING, "has min.insync.replicas=1, not 2") in found


def test_the_worst_comes_first(config: LiveConfig, admin: KafkaAdminClient) -> None:
    topics = config.kafka.topics
    admin.create_topics({topics.browsing: with_config(retention_ms="86400000")}, wait_for_metadata=True)
    admin.create_topics({topics.ticks: GOOD | {"num_partitions": 1}}, wait_for_metadata=True)
    create_topics(config)
    found: list[Mismatch] = check_topics(config)
    assert [one.topic for one in found] == [topics.ticks, topics.browsing]


def test_an_unreachable_broker_is_a_product_error() -> None:
    config = load_config(
        environ={"STREAM_APP_KAFKA__BOOTSTRAP": "127.0.0.1:9", "STREAM_APP_KAFKA__REQUEST_TIMEOUT": "1s"}
    )
    with pytest.raises(NoBroker, match=r"Kafka at 127\.0\.0\.1:9 does not answer: connection refused"):
        check_topics(config, ["orders"])


def test_the_commands_create_and_check(environ: dict[str, str], config: LiveConfig) -> None:
    missing = run(environ, "topics", "check")
    assert missing.returncode == 1
    assert missing.stderr.count("stream-app topics create") == 12
    assert "Workers do not start" in missing.stderr
    created = run(environ, "topics", "create")
    assert created.returncode == 0, created.stderr
    assert "All 12 topics are valid, with 3 partitions each." in created.stderr
    assert "All topics exist." in run(environ, "topics", "create").stderr
    assert run(environ, "topics", "check").returncode == 0


EMPTY = raw_kafka.record(0, b"{}")
BAD = {
    "offset": raw_kafka.batch([raw_kafka.record(0, b"{}", delta=1_000)]),  # claims an offset far behind its batch
    "header": raw_kafka.batch([raw_kafka.record(0, b"{}", None, [(b"\xff", b"x")])]),
    "packed header": raw_kafka.batch([raw_kafka.record(0, b"{}", None, [(b"\xff", b"x")])], "gzip"),
    # librdkafka reports an error for the first one, and never gets past the second.
    "bytes behind lz4": raw_kafka.batch([EMPTY], "lz4", raw_kafka.pack("lz4", EMPTY) + b"garbage"),
    "gzip in two parts": raw_kafka.batch([EMPTY], "gzip", gzip.compress(EMPTY[:2]) + gzip.compress(EMPTY[2:])),
}


def stray(partitions: int) -> tuple[str, bytes]:
    """Return a customer who does not belong to partition 0, and one of their orders."""
    customer = next(one for one in map("c{}".format, count()) if partition_of(one, partitions))
    return customer, encode(order(customer, 1_700_000_000_000_000))


@pytest.mark.parametrize("case", BAD)
def test_bad_batches_hide_nothing_from_the_check(case: str, environ: dict[str, str], config: LiveConfig) -> None:
    create_topics(config)
    topics = config.kafka.topics
    for name in topics.of(*SHOP_TOPICS).values():
        for number in range(3):
            assert raw_kafka.send(config.kafka.bootstrap, name, number, BAD[case]) == 0
    done = run(environ, "topics", "check")
    assert (done.returncode, "skipped" in done.stderr) == (0, False), done.stderr
    customer, value = stray(3)
    for batch in (raw_kafka.batch([raw_kafka.record(0, value, customer.encode())]), BAD[case]):
        assert raw_kafka.send(config.kafka.bootstrap, topics.orders, 0, batch) == 0
    (mismatch,) = check_placement(config)
    assert (mismatch.topic, "has 1 of its last 1 records" in mismatch.problem) == (topics.orders, True)


def test_more_bad_batches_than_a_service_skips_do_not_end_the_check(config: LiveConfig) -> None:
    create_topics(config)
    for _ in range(MOST + 1):
        assert raw_kafka.send(config.kafka.bootstrap, config.kafka.topics.cart, 2, BAD["offset"]) == 0
    assert check_placement(config) == []


@pytest.mark.parametrize("partitions", [2, 4])
def test_a_wrong_number_of_partitions_does_not_end_the_check(
    partitions: int, environ: dict[str, str], config: LiveConfig, admin: KafkaAdminClient
) -> None:
    topics = config.kafka.topics
    admin.create_topics({topics.cart: GOOD | {"num_partitions": partitions}}, wait_for_metadata=True)
    create_topics(config)
    customer, value = stray(3)
    batch = raw_kafka.batch([raw_kafka.record(0, value, customer.encode())])
    for name in (topics.cart, topics.orders):
        assert raw_kafka.send(config.kafka.bootstrap, name, 0, batch) == 0
    done = run(environ, "topics", "check")
    assert done.returncode == 1
    assert f"has {partitions} partitions" in done.stderr
    assert done.stderr.count("in a partition other than their customer's") == 1


def test_topics_deleted_during_the_check_are_a_product_error(config: LiveConfig) -> None:
    with pytest.raises(NoBroker, match="no answer in time"):
        check_placement(config)


def test_the_names_of_the_topics_are_those_of_the_schema() -> None:
    document = json.loads(
        subprocess.run([COMMAND, "schema", "--format", "asyncapi"], capture_output=True, check=True).stdout
    )
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == set(Topics().of(*SHOP_TOPICS, "alerts").values())

"""The rights that services need, what is said when one is missing, and that no group or command is forgotten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from aiokafka import errors as aiokafka
from confluent_kafka import KafkaError, KafkaException
from kafka import errors as kafka_python
from typer.testing import CliRunner

from stream_app.adapters.kafka import admin
from stream_app.adapters.kafka.acls import NEEDS, kafka_acls
from stream_app.adapters.kafka.admin import TopicIds
from stream_app.adapters.kafka.refusals import refusal, refusals
from stream_app.adapters.redis.acls import NEEDS as REDIS_NEEDS, redis_acls
from stream_app.adapters.redis.connection import commands_in
from stream_app.cli import app
from stream_app.config import INPUTS, OUTPUTS, Kafka, Redis, Topics
from stream_app.core.messages.outgoing import Outgoing, pack
from stream_app.errors import KafkaDenied, LoginRefused, NoBroker
from stream_app.services.runtime.outbox_relay import OutboxRelay
from tests.fakes import MemoryServer, MemoryStateStore

PACKAGE = Path(__file__).parents[3] / "stream_app"
DEPLOY = PACKAGE.parent / "deploy"


def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


def test_only_one_place_names_groups_and_it_begins_with_the_setting() -> None:
    assert [path.name for path, text in sources().items() if '"group.id"' in text] == ["clients.py"]
    named = {one for text in sources().values() for one in re.findall(r'\bgroup=(f?"?{?config.+),', text)}
    assert named == {"config.kafka.group", 'f"{config.kafka.group}-{self.name}"'}


def test_every_script_and_command_of_the_stores_is_granted_to_somebody() -> None:
    scripts = {path.stem for path in (PACKAGE / "adapters" / "redis" / "scripts").glob("*.lua")}
    assert scripts == {script for needs in REDIS_NEEDS.values() for script in needs.scripts}
    stores = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "adapters" / "redis").glob("*store.py"))
    asked = {command.lower() for command in re.findall(r'\bask\(self\._client, "([A-Z]+)"', stores)}
    assert asked
    assert asked - {command for needs in REDIS_NEEDS.values() for command in needs.commands} == set()


def test_every_command_of_a_script_is_found() -> None:
    for path in (PACKAGE / "adapters" / "redis" / "scripts").glob("*.lua"):
        script = path.read_text(encoding="utf-8")
        named = re.findall(r"redis\.call\(([^',]+),", script)
        assert set(named) <= {"command", "size", "SIZES[place]"}, path.name  # `write`, or a table by the name of SIZES
    commands_of_verify = commands_in((PACKAGE / "adapters/redis/scripts/verify.lua").read_text(encoding="utf-8"))
    assert {"HLEN", "LLEN", "SCARD", "TYPE", "ZCARD"} <= commands_of_verify


def test_the_kafka_script_follows_the_settings() -> None:
    topics = {role: f"t.{role}" for role in Topics.model_fields}
    text = kafka_acls(Kafka(group="my shop", topics=Topics(**topics)))
    assert "allow 'my shop-allocator' --operation Read --topic t.nominations --topic t.control\n" in text
    assert "--operation Read --group 'my shop' --resource-pattern-type prefixed\n" in text
    assert set(re.findall(r"--topic (\S+)", text)) == set(topics.values())
    assert "shop." not in text


def test_only_the_services_write_control_messages() -> None:
    assert {name for name, needs in NEEDS.items() if "control" in needs.writes} == {
        *("worker", "allocator", "publish", "shop", "operator")
    }
    writers = re.findall(r"^allow (\S+) --operation Write .*--topic shop\.control\b", kafka_acls(Kafka()), re.MULTILINE)
    assert writers == [f"churn-{name}" for name in ("worker", "allocator", "publish", "shop", "operator")]


def test_one_user_may_have_all_rights() -> None:
    text = kafka_acls(Kafka(), "churn")
    assert set(re.findall(r"^allow (\S+)", text, re.MULTILINE)) == {"churn"}
    lines = redis_acls(Redis(), "churn").splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(" ~churn:*")


def test_nobody_may_alter_delete_or_do_everything() -> None:
    text = kafka_acls(Kafka())
    assert set(re.findall(r"--operation (\w+)", text)) == {"Create", "Describe", "DescribeConfigs", "Read", "Write"}
    assert {role for needs in NEEDS.values() for role in (*needs.reads, *needs.writes)} <= {*INPUTS, *OUTPUTS}
    users = redis_acls(Redis()).splitlines()
    assert users[0] == "user default off"
    assert [line for line in users[1:] if "-@all" not in line or "+@" in line or "~*" in line or ">" in line] == []


def test_a_cluster_and_another_database_need_more() -> None:
    assert "+cluster|slots" not in redis_acls(Redis())
    assert "+cluster|slots" in redis_acls(Redis(cluster=True))
    assert "+select" not in redis_acls(Redis())
    assert "+select" in redis_acls(Redis(url="redis://redis:6379/3"))


@pytest.mark.parametrize(("what", "file"), [("kafka", "kafka-acls.sh"), ("redis", "redis-users.acl")])
def test_the_commands_print_the_shipped_files(what: str, file: str) -> None:
    done = CliRunner().invoke(app, ["acls", what])
    assert (done.exit_code, done.stdout) == (0, (DEPLOY / file).read_text(encoding="utf-8"))


TOPIC = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TOPIC, "denies Write on the topic shop.alerts"),
        (aiokafka.TopicAuthorizationFailedError("shop.ticks"), "denies Write on the topic shop.ticks"),
        (aiokafka.TopicAuthorizationFailedError({"b", "a"}), "denies Write on the topic a, b"),
        (kafka_python.TopicAuthorizationFailedError(), "denies Write on the topic shop.alerts"),
        (aiokafka.GroupAuthorizationFailedError("churn"), "denies Read on the group churn"),
        (kafka_python.TopicAuthorizationFailedError("a long sentence"), "denies Write on the topic shop.alerts"),
        (aiokafka.ClusterAuthorizationFailedError(), "denies IdempotentWrite (granted with Write on any topic)"),
        (aiokafka.TransactionalIdAuthorizationFailed("tx"), "denies Write on the transactional id tx"),
    ],
)
def test_a_denial_names_the_right_and_the_resource(error: Exception, words: str) -> None:
    refused = refusal(error, "Write", "shop.alerts")
    assert isinstance(refused, KafkaDenied)
    assert words in str(refused)
    assert "`stream-app acls kafka`" in str(refused)


@pytest.mark.parametrize(
    "error",
    [
        KafkaException(KafkaError(KafkaError._AUTHENTICATION, "wrong password")),
        KafkaException(KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED, "wrong password")),
        aiokafka.AuthenticationFailedError("wrong password"),
        kafka_python.SaslAuthenticationFailedError("wrong password"),
    ],
)
def test_a_refused_login_is_told(error: Exception) -> None:
    refused = refusal(error, "Read")
    assert isinstance(refused, LoginRefused)
    assert "wrong password" in str(refused)


@pytest.mark.parametrize("error", [KafkaException(KafkaError(KafkaError._TIMED_OUT)), aiokafka.KafkaConnectionError()])
def test_what_is_no_refusal_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), refusals("Read"):
        raise error


def test_the_refusal_behind_a_fatal_error_of_the_producer_is_named() -> None:
    told = (
        "Gap-less ordering would not be guaranteed: ProduceRequest for shop.browsing [0] with 9 message(s) "
        "failed: Broker: Topic authorization failed (broker 1): unable to satisfy gap-less guarantee"
    )
    refused = refusal(KafkaException(KafkaError(KafkaError._GAPLESS_GUARANTEE, told)), "Write")
    assert "denies Write on the topic shop.browsing" in str(refused)


def test_a_refusal_is_found_behind_what_a_library_makes_of_it() -> None:
    wrapped = aiokafka.KafkaError("Unexpected error during batch delivery")
    wrapped.__cause__ = aiokafka.ClusterAuthorizationFailedError()
    assert "denies IdempotentWrite" in str(refusal(wrapped, "Write"))


def test_a_relay_whose_topic_is_denied_says_which() -> None:
    class Denied:
        async def send(self, topic: str, **_: object) -> asyncio.Future[object]:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(aiokafka.TopicAuthorizationFailedError(topic))
            return future

    async def relayed() -> None:
        relay = OutboxRelay(0, MemoryStateStore(MemoryServer()), Denied(), {"labelled": "shop.labelled"})  # type: ignore[arg-type]
        relay.add(1, [pack(Outgoing("labelled", 0, None, b"x"))])
        await relay.flush()

    with pytest.raises(KafkaDenied) as refused:
        asyncio.run(relayed())
    assert "Write on the topic shop.labelled" in str(refused.value)


class FailingAdmin:
    """An AdminClient whose requests fail; its connection reports an error when it is polled."""

    def __init__(self, options: dict[str, Any], answer: int, connection: int | None) -> None:
        self._report: Callable[[KafkaError], None] = options["error_cb"]
        self._answer, self._connection = answer, connection

    def describe_topics(self, topics: object, **_: object) -> dict[str, Future[Any]]:  # noqa: ARG002 - its signature
        future = Future[Any]()
        future.set_exception(KafkaException(KafkaError(self._answer)))
        return {"shop.orders": future}

    def poll(self, _seconds: float) -> None:
        if self._connection is not None:
            self._report(KafkaError(self._connection, "wrong password"))


@pytest.mark.parametrize(
    ("answer", "connection", "kind", "words"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, None, KafkaDenied, "denies Describe on the topic shop.orders"),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, None, KafkaDenied, "denies Describe on the cluster"),
        (KafkaError._TIMED_OUT, KafkaError._AUTHENTICATION, LoginRefused, "refuses the login: wrong password"),
        (KafkaError._TIMED_OUT, KafkaError._SSL, NoBroker, "wrong password"),
        (KafkaError._TIMED_OUT, None, NoBroker, "imed out"),
    ],
)
def test_a_refusal_of_the_ids_of_topics_is_named(
    monkeypatch: pytest.MonkeyPatch, answer: int, connection: int | None, kind: type[NoBroker], words: str
) -> None:
    monkeypatch.setattr(admin, "AdminClient", lambda options: FailingAdmin(options, answer, connection))
    with pytest.raises(NoBroker, match=words) as refused:
        TopicIds(Kafka())(["shop.orders"])
    assert type(refused.value) is kind

"""Every service and command with the rights that deploy/ ships, on real servers that grant nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it says so at run time only
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from typer.testing import CliRunner

from stream_app.adapters.kafka.acls import NEEDS
from stream_app.adapters.redis.acls import NEEDS as REDIS_NEEDS
from stream_app.cli import app
from tests.conftest import PROJECT
from tests.harness.processes import Process
from tests.harness.processes.live_system import STREAM_APP
from tests.harness.servers import KafkaServer, RedisServer
from tests.harness.servers.kafka import ADMIN, fetch_jars
from tests.harness.servers.process import free_port, program

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]

PASSWORDS = {name: f"{name}-word" for name in (ADMIN, *(f"churn-{service}" for service in NEEDS))}
SERVICES = ("worker", "trainer", "allocator", "notifier")
SHOP = {
    "STREAM_APP_KAFKA__PARTITIONS": "2",
    "STREAM_APP_SHOP__HORIZON": "10d",
    "STREAM_APP_SHOP__ACTIVE_WINDOW": "40d",
    "STREAM_APP_SHOP__DECIDE_EVERY": "2d",
    "STREAM_APP_SHOP__CAPACITY": "3",
    "STREAM_APP_SHOP__ALERT_ABOVE": "0.3",
    "STREAM_APP_TICKS__CLOCK": "log",
    "STREAM_APP_WORKER__PUBLISH_SCORES": "true",
    "STREAM_APP_WORKER__INSTANCE": "w1",
    "STREAM_APP_KAFKA__SECURITY__PROTOCOL": "SASL_PLAINTEXT",
    "STREAM_APP_KAFKA__SECURITY__SASL_MECHANISM": "PLAIN",
}
CHANNELS = """\
mode: shadow
channels:
  team: {kind: webhook, url: "http://127.0.0.1:9/alerts", secret: "env:HOOK", allow_private: true}
"""
OFFSETS = {"worker": 0, "trainer": 1, "allocator": 2, "notifier": 3}
SECONDS = 180.0  # takes ten on an idle machine


class Secured:
    """Both servers, and processes of the product as users of them."""

    def __init__(self, kafka: KafkaServer, redis_server: RedisServer, folder: Path) -> None:
        self.kafka, self.redis, self.folder = kafka, redis_server, folder
        self.ports = {service: free_port() for service in SERVICES}
        self.processes: list[Process] = []
        self._numbers = count()
        self.redis_admin = redis.Redis(
            port=redis_server.port, username=ADMIN, password=PASSWORDS[ADMIN], decode_responses=True
        )
        self.kafka_admin = AdminClient({**kafka.client(), "log_level": 0})
        (folder / "channels.yaml").write_text(CHANNELS)
        (folder / "model.key").write_text("k" * 43)
        (folder / "model.key").chmod(0o600)

    def environ(self, user: str, **other: str) -> dict[str, str]:
        """Return the environment of a process that runs as churn-USER in Kafka and Redis."""
        name, redis_name = f"churn-{user}", f"churn-{user if user in REDIS_NEEDS else 'operator'}"
        return {
            **os.environ,
            **SHOP,
            "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "400",
            "HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "STREAM_APP_DELIVERY__CONFIG": str(self.folder / "channels.yaml"),
            "STREAM_APP_MODEL__KEY_FILE": str(self.folder / "model.key"),
            "STREAM_APP_HEALTH__PORT": str(self.ports.get(user, 0) and self.ports[user] - OFFSETS[user]),
            "STREAM_APP_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "STREAM_APP_KAFKA__SECURITY__USERNAME": name,
            "STREAM_APP_KAFKA__SECURITY__PASSWORD": PASSWORDS[name],
            "STREAM_APP_REDIS__URL": f"redis://{redis_name}:{PASSWORDS[redis_name]}@127.0.0.1:{self.redis.port}/0",
            **other,
        }

    def command(self, user: str, *arguments: str, **other: str) -> tuple[int, str]:
        """Run a command in this process, since a new one takes seconds to start. Return its exit status and output."""
        done = CliRunner().invoke(app, arguments, env=self.environ(user, **other))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def run(self, user: str, *arguments: str, **other: str) -> str:
        """Run a command that must succeed, and return its output."""
        status, said = self.command(user, *arguments, **other)
        assert status == 0, f"{arguments}: {said}"
        return said

    def start(self, service: str, **other: str) -> Process:
        """Start a service as its user."""
        log = self.folder / f"{next(self._numbers)}-{service}.log"
        process = Process([str(STREAM_APP), service], self.environ(service, **other), log)
        self.processes.append(process)
        return process

    def ready(self, service: str) -> bool:
        """Whether its /readyz answers 200."""
        return self.readyz(service)[0] == 200

    def readyz(self, service: str) -> tuple[int, str]:
        """Return status and text of its /readyz; status 0 while it is not listening."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[service]}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait(self, what: str, until: object) -> None:
        """Wait for a condition, and fail if a process has ended."""
        assert callable(until)
        deadline = time.monotonic() + SECONDS
        while not until():
            for process in self.processes:
                assert process.running or process.popen.returncode == -9, f"{process.command}: {process.tail()}"
            assert time.monotonic() < deadline, f"{what}: {[process.tail()[-1500:] for process in self.processes]}"
            time.sleep(0.2)

    def end(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.close()
        self.processes.clear()

    @contextmanager
    def denied(self, user: str, operation: AclOperation, kind: ResourceType, name: str) -> Iterator[None]:
        """Deny a user of Kafka a right; a denial overrides grants."""
        pattern, principal = ResourcePatternType.LITERAL, f"User:churn-{user}"
        binding = AclBinding(kind, name, pattern, principal, "*", operation, AclPermissionType.DENY)
        for future in self.kafka_admin.create_acls([binding]).values():
            future.result(10)
        try:
            yield
        finally:
            for future in self.kafka_admin.delete_acls([binding_filter(binding)]).values():
                future.result(10)

    def acl(self, *arguments: str) -> object:
        """Send the command ACL to Redis."""
        return self.redis_admin.execute_command("ACL", *arguments)  # type: ignore[no-untyped-call]

    @contextmanager
    def redis_denied(self, user: str, *rules: str, back: list[str]) -> Iterator[None]:
        """Take rights from a user of Redis during the block."""
        self.acl("SETUSER", f"churn-{user}", *rules)
        try:
            yield
        finally:
            self.acl("SETUSER", f"churn-{user}", *back)


def binding_filter(binding: AclBinding) -> AclBindingFilter:
    """Return a filter for one ACL."""
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def grant(kafka: KafkaServer, folder: Path) -> None:
    """Run deploy/kafka-acls.sh with Kafka's own tool."""
    tool = folder / "kafka-acls.sh"
    java, jars = program("java", "default-jre-headless"), fetch_jars()
    quiet = "-XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    tool.write_text(f'#!/bin/sh\nexec {java} {quiet} -cp "{jars}/*" org.apache.kafka.tools.AclCommand "$@"\n')
    tool.chmod(0o755)
    login = folder / "admin.properties"
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    login.write_text(
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"
        f'sasl.jaas.config={module} username="{ADMIN}" password="{PASSWORDS[ADMIN]}";\n'
    )
    variables = {"BOOTSTRAP": kafka.bootstrap, "ADMIN_CONFIG": str(login), "KAFKA_ACLS": str(tool)}
    script = ["sh", str(PROJECT / "deploy" / "kafka-acls.sh")]
    done = subprocess.run(script, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def acl_file(folder: Path) -> Path:
    """Write deploy/redis-users.acl with passwords and an administrator."""
    lines = []
    for line in (PROJECT / "deploy" / "redis-users.acl").read_text().splitlines():
        name = line.split()[1]
        digest = hashlib.sha256(PASSWORDS.get(name, "").encode()).hexdigest()
        lines.append(line.replace(" on ", f" on #{digest} ") if name in PASSWORDS else line)  # as in compose.md
    lines.append(f"user {ADMIN} on >{PASSWORDS[ADMIN]} ~* &* +@all")
    path = folder / "users.acl"
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaServer(PASSWORDS))
        server = stack.enter_context(RedisServer(options=["--aclfile", str(acl_file(folder))]))
        grant(kafka, folder)
        system = Secured(kafka, server, folder)
        stack.callback(system.redis_admin.close)
        stack.callback(system.end)
        system.run("topics", "topics", "create")
        log = folder / "shop.jsonl"
        simulated = ["simulate", "--customers", "300", "--days", "60", "--seed", "3", "--out", str(log)]
        subprocess.run([str(STREAM_APP), *simulated], check=True, capture_output=True, timeout=SECONDS)
        system.run("publish", "publish", str(log))
        yield system


@pytest.fixture(autouse=True)
def nothing_left(secured: Secured) -> Iterator[None]:
    yield
    secured.end()


def done(secured: Secured) -> bool:
    """Whether both partitions have stored events of the last day, alerts are delivered, and outboxes are empty."""
    admin = secured.redis_admin
    positions = [admin.hget(f"churn:{{p{number}}}:meta", "position") for number in range(2)]
    outboxes = [admin.llen(f"churn:{{p{number}}}:outbox") for number in (0, 1, -1)]
    delivered = admin.hlen("churn:{deliver}:deliveries")
    return None not in positions and not any(outboxes) and bool(delivered)


def test_a_denied_write_ends_the_worker_with_the_right_and_the_topic(secured: Secured) -> None:
    with secured.denied("worker", AclOperation.WRITE, ResourceType.TOPIC, "shop.labelled"):
        assert "denies Write on the topic shop.labelled" in ended(secured, "worker")


def test_every_service_starts_is_killed_and_starts_again_with_the_shipped_rights(secured: Secured) -> None:
    secured.acl("LOG", "RESET")
    processes = []
    for _ in range(3):  # the first start finds empty topics; a later one reads its own records
        processes = [secured.start(service) for service in SERVICES]
        secured.wait("all ready", lambda: all(map(secured.ready, SERVICES)))
        secured.wait("alerts are recorded", lambda: done(secured))
        for process in processes:
            process.kill()
    said = "".join(process.log.read_text() for process in secured.processes)
    assert [word for word in ("uthorization", "NOPERM", "Traceback", "denie") if word in said] == []
    assert secured.acl("LOG") == []


def test_every_command_runs_with_the_shipped_rights(secured: Secured) -> None:
    for service in SERVICES:
        secured.start(service)
    secured.wait("all ready", lambda: all(map(secured.ready, SERVICES)))
    secured.acl("LOG", "RESET")
    assert "topics are valid" in secured.run("operator", "topics", "check")
    customer = str(next(iter(secured.redis_admin.hkeys("churn:{p0}:states"))))
    assert customer in secured.run("operator", "state", "show", customer)
    assert "in use" in secured.run("operator", "model", "list")
    assert "fingerprint" in secured.run("operator", "model", "show")
    version = str(min(secured.redis_admin.hkeys("churn:{model}:versions"), key=int))
    assert "takes effect" in secured.run("operator", "model", "rollback", version)
    listed = secured.run("operator", "alerts", "list", "--json")
    alert = json.loads(listed.splitlines()[0])["alert_id"]
    assert alert in secured.run("operator", "alerts", "show", alert)
    assert "is now assigned to Li Na" in secured.run(
        "operator", "alerts", "ack", alert, "--staff", "Li Na", "--lang", "en"
    )
    assert "team" in secured.run("operator", "deliveries", "list", "--json")
    assert "no dead deliveries" in secured.run("operator", "deliveries", "redrive", "--all")
    assert "will be reopened" in secured.run("operator", "deliveries", "enable", "team")
    published = secured.run("publish", "publish", str(secured.folder / "shop.jsonl"))
    assert "0 records sent" in published
    secured.run("worker", "health", "worker")
    assert secured.acl("LOG") == []


def test_reading_the_last_records_needs_no_group(secured: Secured) -> None:
    with ExitStack() as stack:
        for user, name in (("worker", "churn-last"), ("allocator", "churn-last"), ("publish", "churn-publish")):
            for operation in (AclOperation.READ, AclOperation.DESCRIBE):
                stack.enter_context(secured.denied(user, operation, ResourceType.GROUP, name))
        for service in SERVICES:
            secured.start(service)
        secured.wait("all ready", lambda: all(map(secured.ready, SERVICES)))
        published = secured.run("publish", "publish", str(secured.folder / "shop.jsonl"))
        assert "0 records sent" in published


DENIED = [
    ("worker", AclOperation.READ, ResourceType.GROUP, "churn", "Read on the group churn"),
    ("worker", AclOperation.READ, ResourceType.TOPIC, "shop.orders", "Read on the topic shop.orders"),
    (
        "worker",
        AclOperation.DESCRIBE_CONFIGS,
        ResourceType.TOPIC,
        "shop.cart",
        "DescribeConfigs on the topic shop.cart",
    ),
    ("trainer", AclOperation.READ, ResourceType.GROUP, "churn-trainer", "Read on the group churn-trainer"),
    ("trainer", AclOperation.DESCRIBE, ResourceType.TOPIC, "shop.labelled", "Describe on the topic shop.labelled"),
    ("allocator", AclOperation.READ, ResourceType.TOPIC, "shop.control", "Read on the topic shop.control"),
    ("allocator", AclOperation.READ, ResourceType.GROUP, "churn-allocator", "Read on the group churn-allocator"),
    ("notifier", AclOperation.READ, ResourceType.TOPIC, "shop.alerts", "Read on the topic shop.alerts"),
]


@pytest.mark.parametrize(("service", "operation", "kind", "name", "words"), DENIED, ids=str)
def test_a_denied_right_in_kafka_ends_the_service_and_is_named(
    secured: Secured, service: str, operation: AclOperation, kind: ResourceType, name: str, words: str
) -> None:
    with secured.denied(service, operation, kind, name):
        assert f"denies {words}" in ended(secured, service)


@pytest.mark.parametrize(
    ("service", "topic"), [("trainer", "labelled"), ("allocator", "nominations"), ("notifier", "alerts")]
)
def test_a_dead_letter_that_may_not_be_written_ends_no_service(secured: Secured, service: str, topic: str) -> None:
    with secured.denied(service, AclOperation.WRITE, ResourceType.TOPIC, "shop.dead-letters"):
        process = secured.start(service)
        secured.wait("ready", lambda: secured.ready(service))
        producer = Producer({**secured.kafka.client()})
        producer.produce(f"shop.{topic}", b"foreign", None, 0)
        assert producer.flush(30) == 0
        secured.wait("it is told", lambda: "Dead letter not written" in process.log.read_text())
        assert secured.ready(service)
    assert "denies Write on the topic shop.dead-letters" in process.log.read_text()


def test_a_right_that_is_revoked_at_runtime_ends_the_service_and_is_named(secured: Secured) -> None:
    process = secured.start("trainer")
    secured.wait("ready", lambda: secured.ready("trainer"))
    with secured.denied("trainer", AclOperation.READ, ResourceType.GROUP, "churn-trainer"):
        assert process.popen.wait(SECONDS) == 5
    assert "denies Read on the group churn-trainer" in process.tail()


def test_a_producer_without_any_write_right_is_reported(secured: Secured) -> None:
    with ExitStack() as stack:
        for topic in NEEDS["worker"].writes:
            denied = secured.denied("worker", AclOperation.WRITE, ResourceType.TOPIC, _topic(topic))
            stack.enter_context(denied)
        assert "denies IdempotentWrite" in ended(secured, "worker")


@pytest.mark.parametrize("service", ["worker", "trainer"])
def test_a_wrong_password_ends_the_service_and_is_reported(secured: Secured, service: str) -> None:
    said = ended(secured, service, STREAM_APP_KAFKA__SECURITY__PASSWORD="wrong-word")
    assert "Kafka refuses the login" in said
    url = f"redis://churn-{service}:wrong-word@127.0.0.1:{secured.redis.port}/0"
    assert "invalid username-password pair" in ended(secured, service, STREAM_APP_REDIS__URL=url)


IN_REDIS = [
    ("worker", ["-evalsha"], ["+evalsha"], "'evalsha'"),
    ("worker", ["-hmget"], ["+hmget"], "which calls HDEL, HGET, HKEYS, HMGET, HSET, on churn:{p"),
    ("trainer", ["resetkeys"], ["~churn:{model}:*"], "claim_owner.lua"),
    ("trainer", ["-hmget"], ["+hmget"], "HMGET"),
    ("allocator", ["-get"], ["+get"], "claim.lua"),
    ("notifier", ["-smembers"], ["+smembers"], "SMEMBERS churn:{deliver}:open"),
]


@pytest.mark.parametrize(("service", "rules", "back", "words"), IN_REDIS, ids=str)
def test_a_denied_right_in_redis_ends_the_service_and_is_named(
    secured: Secured, service: str, rules: list[str], back: list[str], words: str
) -> None:
    with secured.redis_denied(service, *rules, back=back):
        said = ended(secured, service)
    assert words in said
    assert "stream-app acls redis" in said


def test_services_that_write_no_control_messages_may_not_write_them(secured: Secured) -> None:
    tried: dict[str, int] = {}
    for user in (service for service in SERVICES if "control" not in NEEDS[service].writes):
        refusals: list[Any] = []
        options = {"enable.idempotence": False, "log_level": 0, "on_delivery": partial(_note, refusals)}
        producer = Producer({**secured.kafka.client(f"churn-{user}"), **options})
        producer.produce("shop.control", b"{}")
        assert producer.flush(30) == 0
        tried[user] = refusals[0].code() if refusals[0] else 0
    assert tried == dict.fromkeys(("trainer", "notifier"), KafkaError.TOPIC_AUTHORIZATION_FAILED)


def _topic(role: str) -> str:
    """Return the name of a topic by its role."""
    return f"shop.{role.replace('_', '-')}"


def _note(refusals: list[Any], error: Any, _: object) -> None:
    refusals.append(error)


def test_a_denied_right_is_named_by_each_command(secured: Secured) -> None:
    topic = ResourceType.TOPIC
    with secured.denied("operator", AclOperation.DESCRIBE, topic, "shop.scores"):
        assert "denies Describe on the topic shop.scores" in refused(secured, "operator", "topics", "check")
    with secured.denied("operator", AclOperation.READ, topic, "shop.orders"):
        assert "denies Read on the topic shop.orders" in refused(secured, "operator", "topics", "check")
    other = {"STREAM_APP_KAFKA__TOPICS__SCORES": "foreign"}
    assert "denies Create on the topic foreign" in refused(secured, "operator", "topics", "create", **other)
    publish = ("publish", "publish", str(secured.folder / "shop.jsonl"), "--after-other-logs")
    with secured.denied("publish", AclOperation.READ, topic, "shop.orders"):
        assert "denies Read on the topic shop.orders" in refused(secured, *publish)
    another = {"STREAM_APP_SHOP__NOMINATION_HOUR": "8"}  # new records, so that something is sent
    with secured.denied("publish", AclOperation.WRITE, topic, "shop.browsing"):
        assert "denies Write on the topic shop.browsing" in refused(secured, *publish, **another)
    with ExitStack() as stack:
        for name in NEEDS["publish"].writes:
            stack.enter_context(secured.denied("publish", AclOperation.WRITE, topic, _topic(name)))
        assert "denies IdempotentWrite" in refused(secured, *publish, **another)
    listed = secured.run("operator", "alerts", "list", "--json")
    ack = ("alerts", "ack", json.loads(listed.splitlines()[0])["alert_id"], "--staff", "Li Na", "--take-over")
    with secured.denied("operator", AclOperation.WRITE, topic, "shop.control"):
        assert "denies Write on the topic shop.control" in refused(secured, "operator", *ack)
    wrong = {"STREAM_APP_KAFKA__SECURITY__PASSWORD": "wrong-word"}
    assert "Kafka refuses the login" in refused(secured, "operator", "topics", "check", **wrong)
    assert "Kafka refuses the login" in refused(secured, "operator", *ack, **wrong)
    with secured.redis_denied("operator", "-hvals", back=["+hvals"]):
        assert "'hvals' command (HVALS churn:{model}:versions)" in refused(secured, "operator", "model", "list")


def ended(secured: Secured, service: str, **other: str) -> str:
    """Start a service that must end without a traceback or a password in its log, and return its last lines."""
    process = secured.start(service, **other)
    assert process.popen.wait(SECONDS) == 5, process.tail()
    log = process.log.read_text()
    assert "Traceback" not in log
    assert [word for word in PASSWORDS.values() if word in log] == []
    return process.tail()


def refused(secured: Secured, user: str, *arguments: str, **other: str) -> str:
    """Run a command that must fail, and return its output."""
    status, said = secured.command(user, *arguments, **other)
    assert status == 5, said
    return said

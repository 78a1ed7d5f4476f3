"""Every service and command under the rights that deploy/ ships, on real servers that grant nothing else."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it says so at run time only
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from benchmarks.live.system import STREAM_APP, Process
from benchmarks.servers import KafkaServer, RedisServer
from benchmarks.servers.kafka import ADMIN, fetch_jars
from benchmarks.servers.process import free_port, program
from stream_app.adapters.kafka_acls import NEEDS
from stream_app.adapters.redis.acls import NEEDS as REDIS_NEEDS
from tests.conftest import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]

PASSWORDS = {name: f"{name}-word" for name in (ADMIN, *(f"churn-{service}" for service in NEEDS))}
SERVICES = ("worker", "trainer", "desk", "deliver")
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
OFFSETS = {"worker": 0, "trainer": 1, "desk": 2, "deliver": 3}
SECONDS = 90.0


class Secured:
    """The two servers, and the processes of the product as their users."""

    def __init__(self, kafka: KafkaServer, redis_server: RedisServer, folder: Path) -> None:
        self.kafka, self.redis, self.folder = kafka, redis_server, folder
        self.port = free_port()
        self.processes: list[Process] = []
        self.redis_admin = redis.Redis(port=redis_server.port, username=ADMIN, password=PASSWORDS[ADMIN])
        self.kafka_admin = AdminClient({**kafka.client(), "log_level": 0})
        (folder / "channels.yaml").write_text(CHANNELS)

    def environ(self, user: str, **other: str) -> dict[str, str]:
        """Of a process that runs as a user: churn-USER in Kafka and in Redis."""
        name, redis_name = f"churn-{user}", f"churn-{user if user in REDIS_NEEDS else 'operator'}"
        return {
            **os.environ,
            **SHOP,
            "OPENBLAS_NUM_THREADS": "1",
            "COLUMNS": "400",
            "HOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "STREAM_APP_DELIVERY__CONFIG": str(self.folder / "channels.yaml"),
            "STREAM_APP_HEALTH__PORT": str(self.port),
            "STREAM_APP_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "STREAM_APP_KAFKA__SECURITY__USERNAME": name,
            "STREAM_APP_KAFKA__SECURITY__PASSWORD": PASSWORDS[name],
            "STREAM_APP_REDIS__URL": f"redis://{redis_name}:{PASSWORDS[redis_name]}@127.0.0.1:{self.redis.port}/0",
            **other,
        }

    def command(self, user: str, *arguments: str, **other: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(STREAM_APP), *arguments],
            env=self.environ(user, **other),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def run(self, user: str, *arguments: str, **other: str) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.command(user, *arguments, **other)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, service: str, **other: str) -> Process:
        """Start a service as its user."""
        log = self.folder / f"{len(self.processes)}-{service}.log"
        process = Process([str(STREAM_APP), service], self.environ(service, **other), log)
        self.processes.append(process)
        return process

    def ready(self, service: str) -> bool:
        """Whether its /readyz is well."""
        return self.readyz(service)[0] == 200

    def readyz(self, service: str) -> tuple[int, str]:
        """Status and text of its /readyz; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + OFFSETS[service]}/readyz", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait(self, what: str, until: object) -> None:
        """Wait until a function says yes; fails when a process has ended."""
        assert callable(until)
        deadline = time.monotonic() + SECONDS
        while not until():
            for process in self.processes:
                assert process.running or process.popen.returncode == -9, f"{process.command}: {process.said()}"
            assert time.monotonic() < deadline, f"{what}: {[process.said()[-1500:] for process in self.processes]}"
            time.sleep(0.2)

    def end(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.close()
        self.processes.clear()

    @contextmanager
    def denied(self, user: str, operation: AclOperation, kind: ResourceType, name: str) -> Iterator[None]:
        """Deny a user of Kafka a right: a denial counts more than what is granted."""
        pattern, principal = ResourcePatternType.LITERAL, f"User:churn-{user}"
        binding = AclBinding(kind, name, pattern, principal, "*", operation, AclPermissionType.DENY)
        for future in self.kafka_admin.create_acls([binding]).values():
            future.result(10)
        try:
            yield
        finally:
            for future in self.kafka_admin.delete_acls([binding_filter(binding)]).values():
                future.result(10)

    @contextmanager
    def redis_denied(self, user: str, *rules: str, back: list[str]) -> Iterator[None]:
        """Take rights from a user of Redis for a while."""
        self.redis_admin.execute_command("ACL", "SETUSER", f"churn-{user}", *rules)
        try:
            yield
        finally:
            self.redis_admin.execute_command("ACL", "SETUSER", f"churn-{user}", *back)


def binding_filter(binding: AclBinding) -> object:
    from confluent_kafka.admin import AclBindingFilter  # type: ignore[attr-defined]  # noqa: PLC0415

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
    """deploy/redis-users.acl with passwords, and an administrator."""
    lines = []
    for line in (PROJECT / "deploy" / "redis-users.acl").read_text().splitlines():
        name = line.split()[1]
        lines.append(f"{line} >{PASSWORDS[name]}" if name in PASSWORDS else line)
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
        system.run("publish", "publish", str(log), "--open-end")
        yield system


@pytest.fixture(autouse=True)
def nothing_left(secured: Secured) -> Iterator[None]:
    yield
    secured.end()


def done(secured: Secured) -> bool:
    """Whether both partitions have stored something of the last day, alerts are delivered, and outboxes are empty."""
    admin = secured.redis_admin
    positions = [admin.hget(f"churn:{{p{number}}}:meta", "position") for number in range(2)]
    outboxes = [admin.llen(f"churn:{{p{number}}}:outbox") for number in (0, 1, -1)]
    delivered = admin.hlen("churn:{deliver}:deliveries")
    return None not in positions and not any(outboxes) and bool(delivered)


def test_every_service_starts_is_killed_and_starts_again_with_the_shipped_rights(secured: Secured) -> None:
    for _ in range(3):  # the first start finds empty topics; a later one reads what it has sent itself
        running = [secured.start(service) for service in SERVICES]
        secured.wait("all ready", lambda: all(map(secured.ready, SERVICES)))
        secured.wait("alerts are recorded", lambda: done(secured))
        for process in running:
            process.kill()
    said = "".join(path.read_text() for path in secured.folder.glob("*.log"))
    assert [word for word in ("uthorization", "NOPERM", "Traceback", "refuse") if word in said] == []
    assert secured.redis_admin.execute_command("ACL", "LOG") == []

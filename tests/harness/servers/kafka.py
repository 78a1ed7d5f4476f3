"""A real Kafka broker of one node (KRaft), from the jars of Apache Kafka that Maven brings."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.harness.servers.process import Missing, Server, free_port, program

POM = Path(__file__).with_name("pom.xml")
JARS = Path(__file__).resolve().parents[3] / "build" / "kafka"
FETCH_SECONDS = 600.0  # 43 MB over a slow line

# By default Java takes a quarter of the machine's memory.
_HEAP = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC")
_QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={folder}/data
auto.create.topics.enable=false
# One node has one copy of everything.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The first consumer of a group does not wait 3 s for others.
group.initial.rebalance.delay.ms=0
# A killed broker stays registered until its session ends: with the default of 9 s it came back after 13 s.
broker.heartbeat.interval.ms=250
broker.session.timeout.ms=1500
num.io.threads=4
num.network.threads=2
"""


# Clients log in with SASL/PLAIN and have no rights without an ACL; the controller listens on a port of its own.
_SECURED = """\
listeners=SASL_PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} username="{admin}" password="{password}" {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin};User:ANONYMOUS
"""
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
ADMIN = "admin"  # the super user of a secured broker


class KafkaServer(Server):
    """A broker on a free loopback port, without topics and auto-creation. It starts in about 4 s and takes 360 MB.

    Args:
        users: passwords by name, including that of `admin`, the super user. If given, clients log in by SASL/PLAIN and
            have only the rights that ACLs grant.
    """

    def __init__(self, users: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._controller = free_port()
        self._users = dict(users or {})

    def client(self, user: str = ADMIN) -> dict[str, str]:
        """Return the options of a confluent-kafka client that connects as a user."""
        options = {"bootstrap.servers": self.bootstrap}
        if self._users:
            options |= {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
            options |= {"sasl.username": user, "sasl.password": self._users[user]}
        return options

    @property
    def bootstrap(self) -> str:
        """Address for clients: "127.0.0.1:port"."""
        return f"127.0.0.1:{self.port}"

    def _command(self) -> Sequence[str]:
        # 1. Find the programs.
        java, jars = program("java", "default-jre-headless"), fetch_jars()
        base = [java, *_HEAP, *_QUIET, "-cp", f"{jars}/*"]
        # 2. Before the first start, format the data folder.
        properties = self.folder / "server.properties"
        if not properties.exists():
            self._format(base, properties)
        # 3. Start the broker.
        return [*base, "kafka.Kafka", str(properties)]

    def _format(self, java: Sequence[str], properties: Path) -> None:
        places = {"port": self.port, "controller": self._controller}
        text = _PROPERTIES.format(folder=self.folder, **places)
        if self._users:  # the last value of a property counts
            users = " ".join(f'user_{name}="{password}"' for name, password in self._users.items())
            text += _SECURED.format(login=_LOGIN, admin=ADMIN, password=self._users[ADMIN], users=users, **places)
        properties.write_text(text)
        identity = uuid.uuid4().hex[:22]  # Kafka wants the length of a UUID in base64
        tool = [*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", identity, "-c", str(properties)]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage tool failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")

    def _ready(self) -> bool:
        # Refused connections are expected while the broker starts: they are not logged.
        client = AdminClient({**self.client(), "log_level": 0, "socket.timeout.ms": 1000})
        try:
            return bool(client.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False


def fetch_jars() -> Path:
    """Return the folder of Kafka's jars, which Maven fetches if pom.xml has changed. Raise `Missing` if it cannot."""
    stamp = JARS / "pom.xml"
    if stamp.exists() and stamp.read_bytes() == POM.read_bytes():
        return JARS
    maven = program("mvn", "maven")
    JARS.parent.mkdir(parents=True, exist_ok=True)
    with (JARS.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_bytes() == POM.read_bytes()):
            _fetch(maven)
    return JARS


def _fetch(maven: str) -> None:
    fresh = Path(tempfile.mkdtemp(prefix="kafka-", dir=JARS.parent))
    try:
        _copy_jars(maven, fresh)
        shutil.copy(POM, fresh / "pom.xml")  # last: it marks the folder as complete
        shutil.rmtree(JARS, ignore_errors=True)
        fresh.rename(JARS)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_jars(maven: str, folder: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    environment = {**os.environ, "MAVEN_OPTS": os.environ.get("MAVEN_OPTS", "-Xmx256m")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS, env=environment)
    if done.returncode:
        raise Missing(f"Kafka's jars, which Maven could not fetch: {done.stdout[-1000:]}")

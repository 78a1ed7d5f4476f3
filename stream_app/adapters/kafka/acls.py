"""The rights in Kafka that each service needs, and no more, as commands of kafka-acls.sh."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from stream_app.config import INPUTS, OUTPUTS, SHOP_TOPICS, Kafka

_ALL: Final = INPUTS + OUTPUTS
_PUBLISHED: Final = (*SHOP_TOPICS, "ticks")


@dataclass(frozen=True)
class Needs:
    """The topics that a service uses, by their roles in `kafka.topics`.

    Attributes:
        checks: it asks for their partitions and settings, to see whether they are as they must be.
        reads: it consumes from them.
        writes: it produces to them; an idempotent producer needs no other right.
        creates: it makes those that are missing.
        groups: what it does with the consumer groups: Read (join and commit), or nothing.
    """

    checks: Sequence[str] = _ALL
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    creates: Sequence[str] = ()
    groups: str = "Read"


# At the start worker and desk read the topics of their own outbox: does Redis still know of all that was sent?
NEEDS: Final = {
    "worker": Needs(
        reads=(*INPUTS, "labelled", "nominations", "scores"),
        writes=("contacts", "ticks", "labelled", "nominations", "scores", "alerts", "dead_letters"),
    ),
    "trainer": Needs(checks=("labelled",), reads=("labelled",), writes=("dead_letters",)),
    "desk": Needs(reads=("nominations", "contacts"), writes=("alerts", "contacts", "dead_letters")),
    "deliver": Needs(reads=("alerts",), writes=("dead_letters",)),
    "publish": Needs(checks=_PUBLISHED, reads=_PUBLISHED, writes=_PUBLISHED, groups=""),
    "shop": Needs(checks=_PUBLISHED, reads=_PUBLISHED, writes=(*_PUBLISHED, "contacts"), groups=""),
    # topics check, which looks at the last records of the shop, and episode ack, snooze, resolve
    "operator": Needs(reads=(*SHOP_TOPICS, "contacts"), writes=("contacts",), groups=""),
    "accept": Needs(groups=""),  # topics accept
    "topics": Needs(creates=_ALL, groups=""),  # topics create
}
_HEAD: Final = """\
#!/bin/sh
# The rights in Kafka of each service, and no more. Made by `stream-app acls kafka`; to run again does no harm.
#
#   BOOTSTRAP=kafka-1:9092 ADMIN_CONFIG=admin.properties sh kafka-acls.sh
#
# BOOTSTRAP     the first broker to ask
# ADMIN_CONFIG  a file with the login of a user who may grant rights: security.protocol, sasl.jaas.config and so on
# KAFKA_ACLS    where kafka-acls.sh of the Kafka distribution is, if not on the PATH
set -eu
: "${BOOTSTRAP:?}" "${ADMIN_CONFIG:?}"

allow() {
  user=$1
  shift
  "${KAFKA_ACLS:-kafka-acls.sh}" --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_CONFIG" \\
    --add --allow-principal "User:$user" "$@"
}
"""


def kafka_acls(kafka: Kafka, user: str | None = None) -> str:
    """Return a shell script that grants each service its rights.

    Args:
        kafka: names of the topics and of the groups.
        user: the one user of all services; None: each has its own, `GROUP-SERVICE`.

    >>> [line for line in kafka_acls(Kafka()).splitlines() if "churn-trainer" in line and "labelled" in line][-1]
    'allow churn-trainer --operation Read --topic shop.labelled'
    """
    lines = [_HEAD]
    for service, needs in NEEDS.items():
        lines.append(f"# {service}")
        name = shlex.quote(user or f"{kafka.group}-{service}")
        lines += [f"allow {name} {right}" for right in _rights(kafka, needs)]
        lines.append("")
    return "\n".join(lines)


def _rights(kafka: Kafka, needs: Needs) -> Iterator[str]:
    """The options of kafka-acls.sh. Read and Write imply Describe; without Describe a topic seems not to be there."""
    for roles, operations in (
        (needs.creates, ("Create",)),
        (needs.checks, ("Describe", "DescribeConfigs")),
        (needs.reads, ("Read",)),
        (needs.writes, ("Write",)),
    ):
        if roles:
            names = (f"--topic {name}" for name in kafka.topics.of(*roles).values())
            yield " ".join((*(f"--operation {one}" for one in operations), *names))
    if needs.groups:
        yield f"--operation {needs.groups} --group {shlex.quote(kafka.group)} --resource-pattern-type prefixed"

"""The topics whose positions a service keeps: whether they are those of which the positions were stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from stream_app.adapters.kafka.topic_ids import KafkaIds
from stream_app.config import LiveConfig
from stream_app.errors import OtherTopic


class TopicWatch:
    """Offsets mean nothing without the topic in which they count, and a name can be given to another topic.

    Use: `begin` when the service starts, then compare what is stored by `require`, and `look` from time to time.

    Args:
        config: where Kafka is. Its demo broker has no ids: nothing is compared.
        roles: of the topics.
    """

    def __init__(self, config: LiveConfig, roles: Sequence[str]) -> None:
        self.names = config.kafka.topics.of(*roles)
        self.ids: Mapping[str, str] = {}  # by role, as they were at the start
        self._ask = KafkaIds(config.kafka) if config.kafka.check_topics else None

    async def begin(self) -> None:
        """Read the ids. Raises NoBroker."""
        if self._ask is not None:
            found = await asyncio.to_thread(self._ask, list(self.names.values()))
            self.ids = {role: one for role, name in self.names.items() if (one := found.get(name))}

    def require(self, stored: Mapping[str, str]) -> None:
        """Raise OtherTopic unless the topics are those whose ids, by role, are stored."""
        require_same(self.names, self.ids, stored)

    def look(self) -> list[str]:
        """Names of topics that do not exist any more; blocks. Raises OtherTopic, and NoBroker."""
        if self._ask is None:
            return []
        found = self._ask(list(self.names.values()))
        present = {role: one for role, name in self.names.items() if (one := found.get(name))}
        require_same(self.names, present, self.ids)
        return [name for name in self.names.values() if name not in found]


def require_same(names: Mapping[str, str], present: Mapping[str, str], stored: Mapping[str, str]) -> None:
    """Raise OtherTopic for a topic that has another id than the one stored; all by role.

    >>> require_same({"orders": "shop.orders"}, {"orders": "b"}, {"orders": "a"})
    Traceback (most recent call last):
    stream_app.errors.OtherTopic: shop.orders is another topic than the one that was read: its id is b, and ...
    """
    for role, one in present.items():
        if stored.get(role, one) != one:
            raise OtherTopic(topic=names[role], present=one, stored=stored[role])

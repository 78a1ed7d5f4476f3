"""Checks that a service's stored positions refer to the topics that it reads now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from stream_app.adapters.kafka.admin import TopicIds
from stream_app.config import LiveConfig
from stream_app.errors import OtherTopic


class TopicWatch:
    """Detects deleted and recreated topics: old offsets are meaningless in a new topic of the same name.

    Call `begin` when the service starts, then `require` with the stored ids, and `missing` from time to time.

    Args:
        config: settings of Kafka. The demo's broker has no topic ids, so nothing is compared.
        roles: roles of the topics.
    """

    def __init__(self, config: LiveConfig, roles: Sequence[str]) -> None:
        self.names = config.kafka.topics.of(*roles)
        self.ids: Mapping[str, str] = {}  # by role, at startup
        self._read_ids = TopicIds(config.kafka) if config.kafka.check_topics else None

    async def begin(self) -> None:
        """Read the topic ids. Raises NoBroker."""
        if self._read_ids is not None:
            self.ids = self._by_role(await asyncio.to_thread(self._read_ids, list(self.names.values())))

    def require(self, stored: Mapping[str, str]) -> None:
        """Raise OtherTopic if a topic's id differs from the one stored for its role."""
        require_same(self.names, self.ids, stored)

    def missing(self) -> list[str]:
        """Return the names of topics that no longer exist. Blocks. Raises OtherTopic and NoBroker."""
        if self._read_ids is None:
            return []
        found = self._read_ids(list(self.names.values()))
        require_same(self.names, self._by_role(found), self.ids)
        return [name for name in self.names.values() if name not in found]

    def _by_role(self, found: Mapping[str, str | None]) -> dict[str, str]:
        return {role: one for role, name in self.names.items() if (one := found.get(name))}


def require_same(names: Mapping[str, str], present: Mapping[str, str], stored: Mapping[str, str]) -> None:
    """Raise OtherTopic if a topic's id differs from the stored one. All arguments are keyed by role.

    >>> require_same({"orders": "shop.orders"}, {"orders": "b"}, {"orders": "a"})
    Traceback (most recent call last):
    stream_app.errors.OtherTopic: shop.orders is not the topic that was read before: its id is b, but the ...
    """
    for role, one in present.items():
        if stored.get(role, one) != one:
            raise OtherTopic(topic=names[role], present=one, stored=stored[role])

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
        config: Kafka settings. The demo's broker has no topic ids, so nothing is compared.
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

    def require(self, stored: Mapping[str, str], present: Mapping[str, str] | None = None) -> None:
        """Raise OtherTopic if a topic's id differs from the one stored for its role.

        Args:
            stored: stored ids by role.
            present: current ids by role; by default those at startup.
        """
        for role, one in (self.ids if present is None else present).items():
            if stored.get(role, one) != one:
                raise OtherTopic(topic=self.names[role], present=one, stored=stored[role])

    def missing(self) -> list[str]:
        """Return the names of topics that no longer exist. Blocks. Raises OtherTopic and NoBroker."""
        if self._read_ids is None:
            return []
        found = self._read_ids(list(self.names.values()))
        self.require(self.ids, self._by_role(found))
        return [name for name in self.names.values() if name not in found]

    def _by_role(self, found: Mapping[str, str | None]) -> dict[str, str]:
        return {role: one for role, name in self.names.items() if (one := found.get(name))}

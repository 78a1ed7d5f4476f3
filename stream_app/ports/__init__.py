"""Ports: protocols for the external systems that the services use.

Each port has an adapter for Redis and an in-memory fake; one contract suite (tests/contract/) runs against both. Every
write is idempotent, because clients retry calls whose reply was lost. An adapter raises `StoreUnavailable` if its
server is unreachable or rejects a call.
"""

from stream_app.ports.delivery_store import DeliveryStore
from stream_app.ports.lease import Lease
from stream_app.ports.model_store import NOTHING_LEARNED, VERSIONS_INDEXED, ModelStore, ModelVersion
from stream_app.ports.outcome import Outcome
from stream_app.ports.policy_store import PolicyStore, Published
from stream_app.ports.state_store import INSTANCES, Opened, StateStore

__all__ = [
    "INSTANCES",
    "NOTHING_LEARNED",
    "VERSIONS_INDEXED",
    "DeliveryStore",
    "Lease",
    "ModelStore",
    "ModelVersion",
    "Opened",
    "Outcome",
    "PolicyStore",
    "Published",
    "StateStore",
]

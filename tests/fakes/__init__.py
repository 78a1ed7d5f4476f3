"""In-memory fakes of the stores. They need no lock, since none of their methods awaits anything.

The content of a server is a separate object, and each store on it acts as the connection of one process. Tests can thus
simulate several processes, crashes and restarts without a server.
"""

from tests.fakes.delivery_store import MemoryDeliveryStore, StoredDeliveries
from tests.fakes.lease import MemoryLease
from tests.fakes.memory_server import MemoryServer
from tests.fakes.model_store import MemoryModelStore
from tests.fakes.policy_store import MemoryPolicyStore
from tests.fakes.state_store import MemoryStateStore

__all__ = [
    "MemoryDeliveryStore",
    "MemoryLease",
    "MemoryModelStore",
    "MemoryPolicyStore",
    "MemoryServer",
    "MemoryStateStore",
    "StoredDeliveries",
]

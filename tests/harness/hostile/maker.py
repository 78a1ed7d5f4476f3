"""Events and messages of made-up customers, from which hostile records are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

EVENTS: Final = {"browsing": "browsing", "cart": "cart", "orders": "order", "complaints": "complaint"}  # role: type
PACKED: Final = ("labelled", "nominations")
OTHERS: Final = ("alerts", "scores", "dead_letters")
ROLES: Final = ("ticks", "control", "contacts", *EVENTS, *PACKED, *OTHERS)
PREFIX: Final = "hostile-"
SHOP: Final = "hostile-shop"
_CUSTOMERS: Final = 100
# Fields with which an event of each type is valid and affects no other customer.
_HARMLESS: Final[dict[str, dict[str, Any]]] = {
    "browsing": {"page": "home"},
    "cart": {"action": "add"},
    "order": {"action": "shipped"},
    "complaint": {"form": "survey", "action": "opened", "rating": 5},
}
_MARK: Final = "\uf8ff"
_ESCAPED: Final = "\\uf8ff"
Headers = Sequence[tuple[str, bytes | None]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """A record for a client library, or a whole record batch for the broker.

    Attributes:
        kind: a name in KINDS.
        role: role of its topic.
        customer: the customer in its key; None if the key has none.
        batch: bytes of a record batch; all other attributes are then unused.
        codec: its compression.
        strays: whether it is sent to a partition that is not its customer's.
    """

    kind: str
    role: str
    value: bytes | None = None
    key: bytes | None = None
    headers: Headers = ()
    customer: str | None = None
    batch: bytes | None = None
    codec: str = "none"
    strays: bool = False


@dataclass(frozen=True)
class Bare:
    """Text to write into JSON without quotes, such as a number that does not fit a float."""

    text: str


class Maker:
    """Makes records of a role.

    Args:
        role: of the topic.
        rng: source of all randomness.
        at: the current time, RFC 3339.
    """

    def __init__(self, role: str, rng: Random, at: str) -> None:
        self.role, self.rng, self.at = role, rng, at
        self.customer = f"{PREFIX}{rng.randrange(_CUSTOMERS):03d}"

    def event(self, **fields: Any) -> Json:
        """Return an event or message of the role with additional fields; without them it is valid and harmless."""
        if self.role == "ticks":
            return {"type": "tick", "occurred_at": "1971-01-01T00:00:00Z", **fields}
        # A shop of its own: which fields a shop sends affects how its customers are explained.
        basics: Json = {
            "occurred_at": self.at,
            "shop_id": SHOP,
            "event_id": f"{PREFIX}{self.rng.getrandbits(60):x}",
            "customer_id": self.customer,
        }
        if self.role == "control":
            return {"type": "alert_step", **basics, "action": "episode_snoozed", **fields}
        if self.role == "contacts":
            return {"type": "contact", **basics, "action": "delivered", **fields}
        kind = EVENTS[self.role]
        return {"type": kind, **basics, **_HARMLESS[kind], **fields}

    def json(self, **fields: Any) -> bytes:
        """Return the event as JSON; a field may be `Bare`."""
        text = json.dumps(self.event(**fields), default=lambda one: f"{_MARK}{one.text}{_MARK}")
        return text.replace(f'"{_ESCAPED}', "").replace(f'{_ESCAPED}"', "").encode("ascii")

    def with_any(self, names: Sequence[str], values: Sequence[Any]) -> bytes:
        """Return the event with a random one of these values in a random one of these fields."""
        return self.json(**{self.rng.choice(names): self.rng.choice(values)})

    def with_one_of(self, *fields: tuple[str, Any]) -> bytes:
        """Return the event with a random one of these fields."""
        return self.json(**dict([self.rng.choice(fields)]))

    def record(self, kind: str, value: bytes | None, **more: Any) -> Record:
        """Return a record with the customer's key."""
        return Record(kind, self.role, value, **{"key": self.customer.encode(), "customer": self.customer, **more})

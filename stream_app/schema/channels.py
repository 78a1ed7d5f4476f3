"""AsyncAPI document of the five topics with events, and of the topic with alerts.

Specification: AsyncAPI 3.0.0, with the Kafka bindings 0.5.0.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream_app import __version__
from stream_app.core.events.schema import KINDS, MAX_ID_CHARS
from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertOpened
from stream_app.schema.examples import examples
from stream_app.schema.outputs import components
from stream_app.schema.payloads import Schema, payloads
from stream_app.schema.words import describe, meaning_of_kind

TOPICS: Final = {
    "browsing": "shop.browsing",
    "cart": "shop.cart",
    "order": "shop.orders",
    "complaint": "shop.complaints",
    "contact": "shop.contacts",
}
BINDING: Final = "0.5.0"
_ABOUT: Final = (
    "Events of an online shop, from which the churn monitor learns which customers are at risk. Every record is one "
    "JSON object with the customer's id as its key. All topics have the same number of partitions, so that one process "
    "reads all events of a customer. An event that cannot be decoded goes to the dead-letter topic with the reason."
)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0.0 document with the topics, operations and messages.

    >>> document = asyncapi()
    >>> [channel["address"] for channel in document["channels"].values()]
    ['shop.browsing', 'shop.cart', 'shop.orders', 'shop.complaints', 'shop.contacts', 'shop.alerts']
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Events of an online shop",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {**{kind: _channel(kind) for kind in KINDS}, "alert": _ALERT_CHANNEL},
        "operations": {
            **{f"receive{struct.__name__}": _operation(kind) for kind, struct in KINDS.items()},
            "sendAlert": _ALERT_OPERATION,
        },
        "components": {
            "messages": {
                **{kind: _message(kind, struct.__name__) for kind, struct in KINDS.items()},
                **{name: _alert_message(name, struct.__name__) for name, struct in _ALERTS.items()},
            },
            "schemas": payloads() | components(list(_ALERTS.values()), "#/components/schemas/{name}"),
        },
    }


_ALERTS: Final[dict[str, type[msgspec.Struct]]] = {
    "alertOpened": AlertOpened,
    "alertHeldOut": AlertHeldOut,
    "alertClosed": AlertClosed,
}
_ALERT_CHANNEL: Final[Schema] = {
    "address": "shop.alerts",
    "title": "shop.alerts",
    "description": "Alerts that opened or closed. The key is the customer id. The name of the topic is a setting.",
    "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _ALERTS},
    "bindings": {"kafka": {"topic": "shop.alerts", "bindingVersion": BINDING}},
}
_ALERT_OPERATION: Final[Schema] = {
    "action": "send",
    "channel": {"$ref": "#/channels/alert"},
    "summary": "The churn monitor writes shop.alerts.",
    "messages": [{"$ref": f"#/channels/alert/messages/{name}"} for name in _ALERTS],
    "bindings": {"kafka": {"bindingVersion": BINDING}},
}


def _alert_message(name: str, type_name: str) -> Schema:
    return {
        "name": name,
        "title": type_name,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{type_name}"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
    }


def _channel(kind: str) -> Schema:
    return {
        "address": TOPICS[kind],
        "title": TOPICS[kind],
        "description": f"{meaning_of_kind(kind)} The key is the customer id. The name of the topic is a setting.",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"}},
        "bindings": {
            "kafka": {
                "topic": TOPICS[kind],
                # With event timestamps (such as from a log of 2009), the broker would delete the records at once.
                "topicConfiguration": {"message.timestamp.type": "LogAppendTime"},
                "bindingVersion": BINDING,
            }
        },
    }


def _operation(kind: str) -> Schema:
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{kind}"},
        "summary": f"The churn monitor reads {TOPICS[kind]}.",
        "messages": [{"$ref": f"#/channels/{kind}/messages/{kind}"}],
        "bindings": {"kafka": {"bindingVersion": BINDING}},
    }


def _message(kind: str, type_name: str) -> Schema:
    key = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_ID_CHARS,
        "pattern": r"\S",
        "description": describe(kind, "customer_id"),
    }
    return {
        "name": kind,
        "title": type_name,
        "summary": meaning_of_kind(kind),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{type_name}"},
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}},
        "examples": [
            {"name": f"{kind}-{number}", "payload": payload} for number, payload in enumerate(examples(kind), start=1)
        ],
    }

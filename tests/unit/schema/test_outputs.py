"""What the services send is valid by the published schemas, which describe every field that they explain."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jsonschema
import msgspec
import pytest

from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.delivery.records import OutboundMessage
from stream_app.core.messages.alerts import AlertClosed, AlertHeldOut, AlertMessage, AlertOpened
from stream_app.core.messages.schema import encode_message
from stream_app.core.units import EPOCH
from stream_app.errors import BadOption
from stream_app.notifications.channels.webhook import payload
from stream_app.schema import SCHEMAS, asyncapi, render

DAY = timedelta(days=1)
WHY = Explanation("one_time", (Cause("price", 0.7),), (Evidence("no_visit", {"days": 40.0}),), ("vip",))
OPENED = AlertOpened("al_1", "c", EPOCH + DAY, EPOCH + 15 * DAY, 1, 0.9, 12.5, 40.0, None, "model", 3, explanation=WHY)
PLANNED = msgspec.structs.replace(OPENED, lost_probability=0.4, act_by=EPOCH + 9 * DAY, usual_gap_days=7.5)
CLOSED = AlertClosed("al_1", "c", EPOCH + 2 * DAY, "resolved", "retained", "price", "li")
HELD_OUT = AlertHeldOut("al_2", "d", EPOCH + DAY, EPOCH + 15 * DAY, "spring", 0.9, 12.5, 0.4, cause="price")


def is_valid(of: str, value: bytes | dict[str, Any]) -> bool:
    given = json.loads(value) if isinstance(value, bytes) else value
    return bool(jsonschema.Draft202012Validator(SCHEMAS[of]()).is_valid(given))


def webhook_of(alert: AlertOpened) -> bytes:
    return payload(OutboundMessage("al_1:hook", "hook", ("al_1:hook",), "title", "*text*", "text", 1, 2, 3, alert))


@pytest.mark.parametrize("alert", [OPENED, PLANNED, CLOSED, HELD_OUT])
def test_alerts_are_valid(alert: AlertMessage) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS["alerts"]())
    assert is_valid("alerts", encode_message(alert))
    assert is_valid("alerts", json.loads(encode_message(alert)) | {"added_later": 1})
    assert not is_valid("alerts", json.loads(encode_message(alert)) | {"alert_id": 7})
    document = asyncapi()
    message = f"alert{type(alert).__name__.removeprefix('Alert')}"
    (name,) = document["components"]["messages"][message]["payload"].values()
    resolver = {**document["components"]["schemas"][name.rpartition("/")[2]], "components": document["components"]}
    jsonschema.Draft7Validator(resolver).validate(json.loads(encode_message(alert)))


@pytest.mark.parametrize("alert", [OPENED, PLANNED])
def test_a_webhook_is_valid_and_contains_the_alert(alert: AlertOpened) -> None:
    body = webhook_of(alert)
    assert is_valid("webhook", body)
    found = json.loads(body)
    assert list(found) == ["type", "timestamp", "data"]
    assert found["data"]["alert"] == json.loads(encode_message(alert))
    assert not is_valid("webhook", found | {"type": "alert.closed"})


def test_attributes_in_docstrings_describe_the_fields() -> None:
    fields = SCHEMAS["alerts"]()["$defs"]["AlertOpened"]["properties"]
    assert fields["rank"]["description"].startswith("Rank among the alerts of the day")
    for of in SCHEMAS:
        assert "Attributes:" not in render("json-schema", of)


def test_an_unknown_subject_is_refused() -> None:
    with pytest.raises(BadOption, match="Use events, alerts, webhook"):
        render("json-schema", "orders")

"""The published schema says of every line what `decode` says of it."""

from __future__ import annotations

import enum
import gzip
import json
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, strategies as st

from stream_app.core.events.schema import (
    CUSTOMER_KINDS,
    KINDS,
    MAX_DELIVERY,
    MAX_MONEY,
    Count,
    Event,
    Money,
    Name,
    Rating,
    Rejected,
    Seconds,
    Text,
    decode,
    encode,
)
from stream_app.errors import BadOption
from stream_app.schema import FORMATS, asyncapi, json_schema, render
from stream_app.schema.channels import TOPICS
from stream_app.schema.examples import examples
from stream_app.schema.words import COMMON, meanings
from stream_app.simulate import ShopSettings, simulate

SPECIFICATION = Path(__file__).parents[2] / "data" / "specifications" / "asyncapi-3.0.0.schema.json.gz"
Json = dict[str, Any]


@cache
def validator() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


def is_valid(event: Json) -> bool:
    return bool(validator().is_valid(event))


def is_read(event: Json) -> bool:
    return not isinstance(decode(json.dumps(event)), Rejected)


def least(kind: str) -> Json:
    return {"type": kind, "event_id": "e", "customer_id": "c", "occurred_at": "2026-01-01T00:00:00Z"}


# --- JSON Schema ----------------------------------------------------------------------------------------------------


def test_the_schema_is_one_by_the_2020_12_metaschema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_published_with_its_meaning_and_no_other(kind: str) -> None:
    published = json_schema()["$defs"][KINDS[kind].__name__]
    fields = {field.name: field.required for field in msgspec.structs.fields(KINDS[kind])}
    assert published["properties"].keys() == {"type", *fields}
    assert set(published["required"]) == {"type", *(name for name, required in fields.items() if required)}
    assert {*meanings(COMMON), *meanings(kind)} == fields.keys()
    assert all(field["description"] for field in published["properties"].values())


def test_every_meaning_is_there_in_both_languages() -> None:
    for kind in (COMMON, *KINDS):
        english, chinese = meanings(kind, "en"), meanings(kind, "zh")
        assert english.keys() == chinese.keys()
        assert not any(text.endswith((".", "。")) for text in (*english.values(), *chinese.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_are_valid_and_the_first_shows_every_field(kind: str) -> None:
    full, small = examples(kind)
    assert json_schema()["$defs"][KINDS[kind].__name__]["examples"] == [full, small]
    assert full.keys() == json_schema()["$defs"][KINDS[kind].__name__]["properties"].keys()
    for example in (full, small):
        assert is_valid(example)
        assert json.loads(encode(event_of(example))) == example


def event_of(given: Json) -> Event:
    event = decode(json.dumps(given))
    assert not isinstance(event, Rejected), event
    return event


def test_what_the_simulator_writes_is_valid() -> None:
    batches = simulate(ShopSettings(customers=40, days=60), seed=3)
    events = list(islice((event for batch in batches for event in batch), 0, None, 3))[:900]
    kinds = {str(event.__struct_config__.tag) for event in events}
    assert kinds == set(CUSTOMER_KINDS)
    assert [event for event in events if not is_valid(json.loads(encode(event)))] == []


def words_of(type_: Any) -> list[Any]:
    return list(type_)


def instants() -> st.SearchStrategy[datetime]:
    zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    return st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=zones | st.just(UTC))  # noqa: DTZ001


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(list(KINDS.values())))
    by_type: dict[object, st.SearchStrategy[object]] = {
        Name | None: st.none() | st.text(max_size=20),
        Text | None: st.none() | st.text(max_size=20),
        Money | None: st.none() | st.floats(-MAX_MONEY, MAX_MONEY),
        Seconds | None: st.none() | st.floats(-1e9, 1e9),
        Rating | None: st.none() | st.floats(1, 5),
        Count | None: st.none() | st.integers(-(10**12), 10**12),
        bool | None: st.none() | st.booleans(),
    }
    fields = {}
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, enum.EnumType):
            fields[field.name] = draw(st.sampled_from(words_of(field.type)))
        elif field.type in by_type:
            fields[field.name] = draw(by_type[field.type])
        elif field.name == "occurred_at":
            fields[field.name] = draw(instants())
        elif field.name.endswith("_at"):
            away = st.timedeltas(-MAX_DELIVERY, MAX_DELIVERY)
            fields[field.name] = draw(st.none() | away.map(lambda span: fields["occurred_at"] + span))
        else:
            fields[field.name] = draw(st.text(min_size=1, max_size=256).filter(lambda text: not text.isspace()))
    return kind(**fields)


@given(events())
def test_every_event_that_we_write_is_valid(event: Event) -> None:
    assert is_valid(json.loads(encode(event)))


WRONG: list[object] = ["", None, 7, True, ["c"], {}, "x" * 257]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["type", "event_id", "customer_id", "occurred_at"])
def test_without_a_required_field_or_with_a_wrong_one_an_event_is_neither_read_nor_valid(kind: str, field: str) -> None:
    line = least(kind)
    assert is_valid(line)
    assert is_read(line)
    for wrong in WRONG:
        assert not is_read(line | {field: wrong}), wrong
        assert not is_valid(line | {field: wrong}), wrong
    del line[field]
    assert not is_read(line)
    assert not is_valid(line)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T00:00:00", "2026-01-01", "2026-01-01T00:00Z", "20260101T000000Z", "2026-01-01_00:00:00Z",
        "2026-01-01T00:00:00+08", "2026-01-01T00:00:00.Z", " 2026-01-01T00:00:00Z", "1767225600",
    ],
)  # fmt: skip
def test_a_time_that_is_not_rfc_3339_with_an_offset_is_neither_read_nor_valid(time: str) -> None:
    assert not is_read(least("order") | {"occurred_at": time})
    assert not is_valid(least("order") | {"occurred_at": time})


@pytest.mark.parametrize(
    "time", ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01 00:00:00.5+08:00", "2026-01-01T00:00:00-0330"]
)
def test_a_time_that_is_read_is_valid(time: str) -> None:
    assert is_read(least("order") | {"occurred_at": time})
    assert is_valid(least("order") | {"occurred_at": time})


@given(
    st.sampled_from(list(KINDS)),
    st.sampled_from(sorted({name for kind in (COMMON, *KINDS) for name in meanings(kind)} | {"unheard_of"})),
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9).filter(lambda x: not x.is_integer())  # JSON Schema takes 1.0 for an integer, decode does not
    | st.text(string.ascii_letters + string.digits + "-:.", max_size=12)
    | st.lists(st.integers(), max_size=2),
)
def test_the_schema_and_the_decoder_agree_on_any_value_of_any_field(kind: str, field: str, value: object) -> None:
    line = least(kind) | {field: value}
    assert is_valid(line) == is_read(line)


@pytest.mark.parametrize(("kind", "field"), [("browsing", "page"), ("cart", "action"), ("complaint", "form")])
def test_a_foreign_word_is_valid_and_kept_as_other(kind: str, field: str) -> None:
    line = least(kind) | {field: "teleported"}
    assert is_valid(line)
    word = getattr(event_of(line), field)
    assert (word.name, word.value, word.is_unknown) == ("OTHER", "teleported", True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_that_are_told_are_those_of_the_types(kind: str) -> None:
    event = event_of(least(kind))
    for name, field in json_schema()["$defs"][KINDS[kind].__name__]["properties"].items():
        if "default" in field:
            assert getattr(event, name) == field["default"]


# --- AsyncAPI -------------------------------------------------------------------------------------------------------


@cache
def specification() -> Any:
    schema = json.loads(gzip.decompress(SPECIFICATION.read_bytes()))
    return jsonschema.validators.validator_for(schema)(schema)


def test_the_document_is_one_by_the_schema_of_asyncapi_3() -> None:
    assert [error.message for error in specification().iter_errors(asyncapi())] == []


@pytest.mark.parametrize("part", ["asyncapi", "info"])
def test_the_specification_is_really_asked(part: str) -> None:
    broken = asyncapi()
    del broken[part]
    assert not specification().is_valid(broken)


def test_a_misspelt_binding_would_be_seen() -> None:
    broken = asyncapi()
    broken["channels"]["order"]["bindings"]["kafka"]["topics"] = "shop.orders"
    assert not specification().is_valid(broken)


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


@pytest.mark.parametrize("document", FORMATS)
def test_every_reference_leads_somewhere(document: str) -> None:
    made = FORMATS[document]()
    found = list(references(made))
    assert len(found) >= len(KINDS)
    for reference in found:
        node: Any = made
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_its_topic_its_operation_and_a_message_keyed_by_the_customer(kind: str) -> None:
    document = asyncapi()
    channel = document["channels"][kind]
    assert channel["address"] == TOPICS[kind] == channel["bindings"]["kafka"]["topic"]
    operation = document["operations"][f"receive{KINDS[kind].__name__}"]
    assert (operation["action"], operation["channel"]["$ref"]) == ("receive", f"#/channels/{kind}")
    message = document["components"]["messages"][kind]
    customer = json_schema()["$defs"][KINDS[kind].__name__]["properties"]["customer_id"]
    assert message["bindings"]["kafka"]["key"] == {k: v for k, v in customer.items() if k != "$ref"}
    payload = document["components"]["schemas"][message["payload"]["$ref"].rpartition("/")[2]]
    for example in message["examples"]:
        jsonschema.Draft7Validator(payload).validate(example["payload"])


# --- as text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", FORMATS)
def test_the_text_is_the_document_and_always_the_same(document: str) -> None:
    assert json.loads(render(document)) == FORMATS[document]()
    assert render(document) == render(document)
    assert "\\u" not in render(document)  # Chinese can be read


def test_an_unknown_format_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadOption, match=r"Invalid value 'openapi' for --format\. Use json-schema or asyncapi"):
        render("openapi")

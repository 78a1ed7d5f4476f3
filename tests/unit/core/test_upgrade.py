"""What earlier releases stored and sent is read as they read it, predicts the same, and is written so.

The fixtures are in tests/data/upgrade, one folder for each release; docs/state-formats.md says what to do if one fails.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from stream_app.core import versions
from stream_app.core.customers.codec.states import (
    CODEC_SCHEMA,
    VERSION,
    decode_customers,
    is_known_schema,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.lost_probability import StepCounts, StepGrid
from stream_app.core.model.signature import verify
from stream_app.core.model.snapshot import (
    FORMAT,
    MAGIC,
    checksum,
    fingerprint,
    restore,
    schema,
    snapshot,
)
from stream_app.core.partition.progress import Summary
from stream_app.core.partition.task import Limits, PartitionTask
from stream_app.core.settings import Settings
from stream_app.core.training.trainer import Checkpoint
from stream_app.core.units import DAY_US
from stream_app.errors import UnusableSnapshot, UnusableState
from tests.harness.stored import (
    KINDS,
    Restored,
    entries_of,
    learner_values,
    message_again,
    message_value,
    read_json,
    read_keyspace,
    read_packed,
    states_of,
    summary_value,
)

FIXTURES = Path(__file__).parents[2] / "data" / "upgrade"
RELEASES = sorted(folder.name for folder in FIXTURES.iterdir() if (folder / "facts.json").exists())
OWN = "stream_app."
HOW = "docs/state-formats.md says how"
ARRAYS = {"labelled", "nominated", "outbox record"}  # kinds whose form is an array


class Fixture:
    """What a release has left behind."""

    def __init__(self, release: str) -> None:
        self.folder = FIXTURES / release
        self.facts = msgspec.json.decode((self.folder / "facts.json").read_bytes())
        stored = read_packed(self.folder / "keyspace.msgpack.xz")
        self.keys, self.full = stored["keys"], stored["snapshot"]
        made = read_packed(self.folder / "values.msgpack.xz")
        self.customers = [(name.decode("utf-8", "surrogatepass"), value) for name, value in made["customers"]]
        self.summaries, self.values = made["summaries"], made["values"]
        self.read = read_json(self.folder / "read.json.xz")
        self.shop = msgspec.convert(self.facts["shop"], Settings)
        self.partitions = int(self.facts["settings"]["kafka.partitions"])

    def models(self) -> dict[str, bytes]:
        """The content of everything that is signed, by "checkpoint" or the number of a version."""
        keys = ((self.folder / "test-key.txt").read_text().strip().encode(),)
        prefix, meta = self.facts["settings"]["redis.prefix"], entries_of(self.keys, "{model}:meta")
        number = int(meta[b"number"])
        found = {"checkpoint": verify(meta[b"checkpoint"], f"{prefix} checkpoint {number}", keys, "fixture")}
        for version, one in entries_of(self.keys, "{model}:snapshots").items():
            found[version.decode()] = verify(one, f"{prefix} version {version.decode()}", keys, "fixture")
        return found

    def snapshots(self) -> dict[str, bytes]:
        """Every snapshot of a model."""
        models = self.models()
        checkpoint = msgspec.msgpack.decode(models.pop("checkpoint"), type=Checkpoint)
        return {**models, "in the checkpoint": checkpoint.churn_model, "made by hand": self.full}


@cache
def fixture_of(release: str) -> Fixture:
    return Fixture(release)


@pytest.fixture(params=RELEASES)
def old(request: pytest.FixtureRequest) -> Fixture:
    """The fixture of each release."""
    return fixture_of(request.param)


def body_of(stored: bytes) -> bytes:
    """The pickle in a snapshot."""
    start = len(MAGIC) + 4
    return stored[start + int.from_bytes(stored[len(MAGIC) : start], "little") :]


def recorded_classes(release: str) -> list[tuple[str, str]]:
    """Every class that the snapshots of a release name, without resolving any of them."""
    found = set()

    class Nothing:
        def __init__(self, *_: object) -> None: ...
        def __setstate__(self, _: object) -> None: ...

    class Walker(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module.startswith(OWN):
                found.add((module, name))
                return Nothing
            return super().find_class(module, name)

    for stored in fixture_of(release).snapshots().values():
        Walker(io.BytesIO(body_of(stored))).load()
    return sorted(found)


# --- what was stored is read as it was -------------------------------------------------------------------------------


# What is computed from the stored values. The last bits of exp, log and matrix products depend on the processor.
COMPUTED = ("predictions", "learned on", "predictions after it")


def assert_same(found: Any, expected: Any, place: str, *, computed: bool = False) -> None:
    """Fail at the first difference, naming its place: whole fixtures side by side are nothing to read."""
    if isinstance(found, dict) and isinstance(expected, dict):
        assert sorted(found) == sorted(expected), f"{place}: other names"
        for name, value in expected.items():
            assert_same(found[name], value, f"{place} > {name}", computed=computed)
    elif isinstance(found, list) and isinstance(expected, list):
        assert len(found) == len(expected), f"{place}: other lengths"
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{place} > {number}", computed=computed)
    elif computed and isinstance(found, float) and isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), place
    else:
        assert found == expected, place
        assert type(found) is type(expected), place


def test_the_keyspace_is_read_to_the_same_values_and_predicts_the_same(old: Fixture) -> None:
    channels, now = old.facts["channels"], old.facts["now"]
    found = read_keyspace(old.keys, old.shop, old.partitions, old.models(), channels, now)
    assert len(found["predictions"]) > 0
    for name in sorted(old.read["keyspace"]):
        place = f"{old.facts['release']} > {name}"
        assert_same(found[name], old.read["keyspace"][name], place, computed=name in COMPUTED)


def test_customers_and_summaries_that_were_made_by_hand_are_read_to_the_same_values(old: Fixture) -> None:
    restored = Restored.of(old.customers, Settings(horizon=old.shop.horizon, agreement=0))
    found = msgspec.json.decode(msgspec.json.encode(restored.values()))
    assert_same(found, old.read["customers"], "customers")
    assert_same([summary_value(one) for one in old.summaries], old.read["summaries"], "summaries")
    assert_same(learner_values(restore(old.full)), old.read["snapshot"], "snapshot")


ADDED_DEFAULTS: tuple[object, ...] = (None, 0, 1, "", [])


def without_added(found: Any, expected: Any) -> Any:
    """Return a value without the fields that were added at the end of its arrays, which must have their defaults."""
    if not isinstance(found, list) or not isinstance(expected, list):
        return found
    added = found[len(expected) :]
    assert all(value in ADDED_DEFAULTS for value in added), added
    return [without_added(*pair) for pair in zip(found, expected, strict=False)]


def test_messages_and_records_are_read_to_the_same_values(old: Fixture) -> None:
    assert {kind for kind, _ in old.values} == set(KINDS)
    for (kind, value), expected in zip(old.values, old.read["values"], strict=True):
        found = message_value(kind, value)
        assert_same(without_added(found, expected), expected, f"{kind} {value[:200]!r}")


# --- what is not changed is written as it was ------------------------------------------------------------------------


def test_an_unchanged_customer_is_written_as_the_same_bytes(old: Fixture) -> None:
    groups = [(states_of(old.keys, number), old.shop) for number in range(old.partitions)]
    groups.append((old.customers, Settings(horizon=old.shop.horizon, agreement=0)))
    for stored, settings in groups:
        again = Restored.of(stored, settings).written_again()
        for (name, value), written in zip(stored, again, strict=True):
            if value[0] == VERSION:
                assert written == value, ascii(name)
            else:  # a documented step: what is written now is read as what was written then
                assert written[0] == VERSION, ascii(name)
        assert Restored.of([(n, v) for (n, _), v in zip(stored, again, strict=True)], settings).written_again() == again


def test_messages_and_records_are_written_as_the_same_bytes(old: Fixture) -> None:
    for kind, value in old.values:
        again = message_again(kind, value)
        if kind in ARRAYS:
            decode = msgspec.msgpack.decode
            again = msgspec.msgpack.encode(without_added(decode(again), decode(value)))
        if kind == "system message":  # the fields of contacts have another order since 0.3
            assert msgspec.json.decode(again) == msgspec.json.decode(value)
        else:
            assert again == value, kind


def test_a_summary_is_written_as_the_same_bytes_but_for_its_schema(old: Fixture) -> None:
    for stored in (
        *old.summaries,
        *(entries_of(old.keys, f"{{p{n}}}:meta")[b"summary"] for n in range(old.partitions)),
    ):
        given = msgspec.json.decode(stored, type=Summary)
        assert is_known_schema(given.schema), f"add {given.schema!r} to versions.STATE_SCHEMAS: {HOW}"
        task = PartitionTask(0, {}, old.shop, Limits())
        task.begin(b"", stored)
        assert task.summary.schema == CODEC_SCHEMA
        assert msgspec.json.encode(msgspec.structs.replace(given, schema=CODEC_SCHEMA)) == stored.replace(
            given.schema.encode(), CODEC_SCHEMA.encode()
        )


def test_a_model_that_is_stored_again_predicts_and_learns_as_it_did(old: Fixture) -> None:
    for name, stored in old.snapshots().items():
        churn_model = restore(stored, name)
        again = restore(snapshot(churn_model), name)
        assert fingerprint(again) == fingerprint(churn_model), name


def test_a_model_that_was_stored_before_calls_were_planned_starts_to_learn_who_is_lost(old: Fixture) -> None:
    planned = msgspec.structs.replace(old.shop, rank_by="worth")
    for name, stored in old.snapshots().items():
        churn_model = restore(stored, name)
        assert churn_model.lost is None
        churn_model.track_lost(old.shop)
        assert churn_model.lost is None
        churn_model.track_lost(planned)
        assert churn_model.lost is not None
        assert churn_model.lost.grid == StepGrid.of(planned)
        version, counts = churn_model.version, StepCounts()
        counts.merge([(0, 100, 90)])
        churn_model.learn_day([], 20_000 * DAY_US, counts)
        assert churn_model.version == version + 1
        assert fingerprint(restore(snapshot(churn_model))) == fingerprint(churn_model)


# --- classes and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("release", "recorded"), [(one, found) for one in RELEASES for found in recorded_classes(one)])
def test_every_class_of_a_stored_model_is_found(release: str, recorded: tuple[str, str]) -> None:
    module, name = versions.present_class(*recorded)
    missing = f"versions.CLASSES lacks an alias: {recorded} of release {release} is not at {module}.{name}. {HOW}"
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        found = None
    assert found is not None, missing


def attributes_of(churn_model: ChurnModel) -> Iterator[tuple[type, set[str]]]:
    """The attributes of every own object that a model holds."""
    found: list[Any] = [churn_model]
    for one in found:
        yield type(one), set(vars(one))
        inner = [value for part in vars(one).values() for value in (part if isinstance(part, list) else [part])]
        found += [value for value in inner if type(value).__module__.startswith(OWN) and hasattr(value, "__dict__")]


def test_every_attribute_of_a_stored_model_is_one_of_its_class(old: Fixture) -> None:
    """As a model that was made here has them: what was pickled under another name would stay beside the new one."""
    made = dict(attributes_of(ChurnModel(old.shop.horizon, old.shop.decide_every, 1)))
    for name, stored in old.snapshots().items():
        for kind, names in attributes_of(restore(stored, name)):
            if kind in made:
                where = f"{kind.__module__}.{kind.__qualname__} in the snapshot {name} of {old.facts['release']}"
                wrong = f"versions.SNAPSHOT_STEPS does not rename it: {where}. {HOW}"
                assert names == made[kind], wrong


def test_the_names_in_a_stored_model_are_known(old: Fixture) -> None:
    for stored in old.snapshots().values():
        start = len(MAGIC) + 4
        header = msgspec.json.decode(stored[start : start + int.from_bytes(stored[len(MAGIC) : start], "little")])
        known = header["schema"] == schema() or header["schema"] in versions.SNAPSHOT_SCHEMAS
        assert known, f"add {header['schema']!r} to versions.SNAPSHOT_SCHEMAS: {HOW}"


def test_the_first_fixture_holds_every_class_that_its_release_allowed() -> None:
    names = [name for _, name in recorded_classes("0.1.1")]
    assert names == [
        *("Drift", "DriftWatch", "CellsExpert", "LinearExpert", "RecursiveLogistic", "Span", "PlainExpert"),
        *("TreeExpert", "PriorExpert", "RecencyExpert", "Learner", "Mixture", "Nowcast", "array"),
    ]


def test_slots_of_a_dataclass_keep_their_places() -> None:
    """`Drift` has slots: its pickle is the list of its values in order."""
    found = restore(fixture_of(RELEASES[0]).full).drift
    assert found
    assert len(fields(found[0])) == 3


# --- version steps ---------------------------------------------------------------------------------------------------


def resealed(content: bytes) -> bytes:
    return content + xxhash.xxh32_digest(content)


def test_states_of_an_older_version_are_read_through_their_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = fixture_of(RELEASES[0]).customers
    new = [(name, value) for name, value in stored if value[0] == VERSION]
    older = [(name, resealed(bytes([VERSION - 1]) + value[1:-4])) for name, value in new]
    with pytest.raises(UnusableState, match=f"has version {VERSION - 1}"):
        decode_customers(older[:1], 1)
    steps = {VERSION - 1: lambda contents: [bytes([VERSION]) + one[1:] for one in contents]}
    for version, step in steps.items():
        monkeypatch.setitem(versions.STATE_STEPS, version, step)
    mixed = [one if place % 2 else other for place, (one, other) in enumerate(zip(new, older, strict=True))]
    settings = Settings(agreement=0)
    assert Restored.of(mixed, settings).values() == Restored.of(new, settings).values()
    assert Restored.of(mixed, settings).written_again() == Restored.of(new, settings).written_again()


def test_a_version_without_a_step_and_a_newer_one_are_refused() -> None:
    content = fixture_of(RELEASES[0]).customers[0][1][:-4]
    for version in (VERSION - 1, VERSION + 1):
        with pytest.raises(UnusableState, match=f"has version {version}"):
            decode_customers([("c", resealed(bytes([version]) + content[1:]))], 1)


def test_a_class_that_moved_is_found_and_a_step_renames_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    churn_model = ChurnModel(Settings().horizon, Settings().decide_every, 1)
    here = (ChurnModel.__module__, ChurnModel.__qualname__)
    stored = snapshot(churn_model).replace(b"retained", b"returned")  # as if an earlier release had named it so
    body = body_of(stored)
    header = msgspec.json.decode(stored[len(MAGIC) + 4 : -len(body)])
    header["checksum"], header["format"] = xxhash.xxh3_128_hexdigest(body), FORMAT - 1
    text = msgspec.json.encode(header)
    stored = MAGIC + len(text).to_bytes(4, "little") + text + body
    monkeypatch.setitem(versions.SNAPSHOT_STEPS, FORMAT - 1, lambda _: None)
    with pytest.raises(UnusableSnapshot):
        restore(stored)

    def rename(found: Any) -> None:
        found.retained = vars(found).pop("returned")

    monkeypatch.setitem(versions.SNAPSHOT_STEPS, FORMAT - 1, rename)
    assert fingerprint(restore(stored)) == fingerprint(churn_model)
    monkeypatch.setitem(versions.CLASSES, ("stream_app.core.once", "Learned"), here)
    assert versions.present_class("stream_app.core.once", "Learned") == here


def test_a_snapshot_of_an_older_format_goes_through_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    churn_model = ChurnModel(Settings().horizon, Settings().decide_every, 1)
    stored = snapshot(churn_model)
    body = body_of(stored)
    stored = stored.replace(b'"format":%d' % FORMAT, b'"format":%d' % (FORMAT - 1))
    stored = stored.replace(checksum(body, churn_model.specs).encode(), checksum(body).encode())
    monkeypatch.delitem(versions.SNAPSHOT_STEPS, FORMAT - 1)
    with pytest.raises(UnusableSnapshot, match="format"):
        restore(stored)
    seen: list[Any] = []
    monkeypatch.setitem(versions.SNAPSHOT_STEPS, FORMAT - 1, seen.append)
    assert fingerprint(restore(stored)) == fingerprint(churn_model)
    assert len(seen) == 1

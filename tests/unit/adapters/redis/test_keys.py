"""The table of keys is complete."""

from __future__ import annotations

import re
from importlib.resources import files

from stream_app.adapters.redis import keys
from stream_app.adapters.redis.acls import NEEDS

NAMES = {key.name for key in keys.TABLE}
TYPES = {"hash", "list", "set", "zset", "string", "table"}  # of Redis and of Lua


def test_every_kind_of_key_is_in_the_table() -> None:
    wanted = {
        "p*": (keys.META, *keys.PARTITION_KINDS),
        "model": (keys.META, *keys.MODEL_KINDS),
        "deliver": (keys.META, *keys.DELIVERY_KINDS, keys.REQUESTS),
        "clock": (keys.HOLDER, keys.LAST, keys.POLICIES, keys.POLICY_CONTENTS),
    }
    expected = {keys.EPOCH} | {f"{{{tag}}}:{kind}" for tag, kinds in wanted.items() for kind in kinds}
    assert {key.name for key in keys.TABLE if key.type != "field"} == expected


def test_every_field_that_a_script_names_is_in_the_table() -> None:
    named = set()
    for script in (files("stream_app.adapters.redis") / "scripts").iterdir():
        code = re.sub(r"--.*", "", script.read_text(encoding="utf-8"))
        named |= set(re.findall(r"'([a-z_]+)'", code)) | set(re.findall(r"'((?:epoch|count|topic):)'", code))
    kinds = {key.name.rpartition(":")[2] for key in keys.TABLE}
    prefixes = {"epoch:", *(key.name.partition(":")[0] + ":" for key in keys.SHARED_FIELDS)}
    assert named - NAMES - kinds - prefixes - TYPES == {"letter"}  # of a delivery: the id of its message


def test_every_pattern_of_the_acls_is_of_a_key_in_the_table() -> None:
    patterns = {pattern for needs in NEEDS.values() for pattern in (*needs.writes, *needs.reads)}
    for pattern in patterns:
        known = pattern.replace("{p-1}", "{p*}").removesuffix("*")
        assert any(name == known or name.startswith(known) for name in NAMES), pattern

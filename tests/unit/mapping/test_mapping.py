"""Mapping files are checked strictly; errors name file, key and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.errors import BadMapping
from stream_app.ingest import load_mapping, mapping_from_options

GOOD = """
kind = "order.paid"
[columns]
customer_id = "cust"
occurred_at = "date"
"""


def test_a_custom_mapping(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    mapping = load_mapping(path)
    assert mapping.kind == "order.paid"
    assert mapping.time.formats == ("auto",)


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        (GOOD + "[file]\ndelimeter = ','", "file.delimeter", "Did you mean `delimiter`?"),
        ("knds = {}\n" + GOOD, "knds", "Did you mean `kinds`?"),
        (GOOD + "[time]\nzone = 'Asia/Shangai'", "time.zone", "Asia/Shanghai"),
        (GOOD + "[time]\nformat = 'epoch_sec'", "time.format", "Did you mean `epoch_s`?"),
        (GOOD + "[file]\nencoding = 'gb-18031'", "file.encoding", "gb18030"),
        (GOOD + "[file]\ndelimiter = '::'", "file.delimiter", "one character"),
        (GOOD + "[file]\ndecimal = ';'", "file.decimal", "docs/reference/mappings.md"),
        (GOOD + "[orders]\ncancellation_prefix = 'C'", "orders.cancellation_prefix", "group_by"),
        (GOOD + "event_id = 'id'\n[orders]\ngroup_by = 'no'", "orders.group_by", "event_id"),
        (GOOD + "[constants]\namount = 'much'", "constants.amount", "float"),
        (GOOD + "[constants]\namout = 1", "constants.amout", "Did you mean `amount`?"),
        (GOOD + "region = 'a * b'", "columns.region", "multiplied"),
        (GOOD.replace("order.paid", "order.payd"), "kind", "Did you mean `order.paid`?"),
        (GOOD.replace("order.paid", "contact.opt_out"), "kind", "Did you mean `contact.opted_out`?"),
        (GOOD.replace("occurred_at", "at"), "columns", "occurred_at"),
        (GOOD.replace('kind = "order.paid"', ""), "kind, kinds", "type"),
        (GOOD + "[kinds]\nbuy = 'order'", "kind, kinds", "both"),
        ("kind = [", "", "not TOML"),
        ("kind = 7", "kind", "Expected `str`"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(tmp_path: Path, text: str, key: str, hint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BadMapping) as caught:
        load_mapping(path)
    assert caught.value.facts["key"] == key
    assert hint in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_options_override_a_shipped_mapping() -> None:
    tmall = load_mapping("tmall")
    changed = mapping_from_options({"customer_id": "buyer"}, {"click": "skip"}, base=tmall)
    assert changed.columns == {**tmall.columns, "customer_id": "buyer"}
    assert changed.kinds == {**tmall.kinds, "click": "skip"}
    assert mapping_from_options({}, kind="order", base=tmall).kinds == {}

"""Each shipped mapping on a few made-up lines in its log's own format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream_app.core.events.enumerations import CartAction, ComplaintForm, ContactAction, OrderAction, Page
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Event, Order
from stream_app.ingest import LogFormat, LogSummary, load_mapping, open_log, shipped_mappings

Read = Callable[[str, str], tuple[LogSummary, list[Event]]]


@pytest.fixture
def read(project: Path, tmp_path: Path) -> Read:
    def read_sample(file: str, mapping: str) -> tuple[LogSummary, list[Event]]:
        with open_log([project / "tests" / "data" / "samples" / file], LogFormat(mapping), tmp_path) as log:
            summary = log.scan()
            return summary, [event for batch in log.batches() for event in batch]

    return read_sample


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_every_shipped_mapping_is_sound_and_has_a_description() -> None:
    assert set(shipped_mappings()) == {
        "cdnow",
        "online-retail",
        "rees46",
        "retailrocket",
        "taobao-userbehavior",
        "tmall",
    }
    assert all(load_mapping(name).description for name in shipped_mappings())


CONTACTS = """
[columns]
customer_id = "会员"
occurred_at = "时间"
type = "事件"
amount = "金额?"
"contact.event_id" = "编号?"
"contact.channel" = "渠道?"
[kinds]
"下单" = "order.paid"
"短信已发" = "contact.sent"
"退订" = "contact.opted_out"
"回执" = "contact"
[constants]
"contact.campaign" = "双11"
[time]
zone = "Asia/Shanghai"
"""
CONTACT_LOG = """会员,时间,事件,金额,编号,渠道
wang,2026-11-01 10:00,下单,99,,
wang,2026-11-02 10:00,短信已发,,m1,sms
wang,2026-11-02 10:05,退订,,m2,sms
li,2026-11-03 10:00,回执,,,
"""


def test_a_mapping_reads_orders_and_contacts_of_one_table(tmp_path: Path) -> None:
    mapping, log = tmp_path / "mine.toml", tmp_path / "log.csv"
    mapping.write_text(CONTACTS)
    log.write_text(CONTACT_LOG)
    with open_log([log], LogFormat(str(mapping)), tmp_path) as opened:
        summary = opened.scan()
        events = [event for batch in opened.batches() for event in batch]
    assert (summary.kinds, summary.rejected) == ({"order": 1, "contact": 3}, 0)
    order, *contacts = events
    assert isinstance(order, Order)
    assert [
        (one.event_id, one.customer_id, one.occurred_at, one.action, one.channel, one.campaign)
        for one in contacts
        if isinstance(one, Contact)
    ] == [
        ("m1", "wang", utc("2026-11-02T02:00"), ContactAction.SENT, "sms", "双11"),
        ("m2", "wang", utc("2026-11-02T02:05"), ContactAction.OPTED_OUT, "sms", "双11"),
        ("0-5", "li", utc("2026-11-03T02:00"), ContactAction.SENT, None, "双11"),
    ]


def test_online_retail_2_groups_lines_into_invoices(read: Read) -> None:
    summary, events = read("online-retail-2.csv", "online-retail")
    assert (summary.lines, summary.events, summary.skipped, summary.rejected) == (6, 3, 1, 0)
    assert events == [
        Order(
            event_id="paid-600004",
            customer_id="17002",
            occurred_at=utc("2010-01-03T16:45"),
            action=OrderAction.PAID,
            order_id="600004",
            amount=20.0,
            currency="GBP",
            items=1,
            region="Spain",
        ),
        Order(
            event_id="paid-600001",
            customer_id="17001",
            occurred_at=utc("2010-01-04T09:29"),
            action=OrderAction.PAID,
            order_id="600001",
            amount=24.5,
            currency="GBP",
            items=3,
            region="France",
        ),
        Complaint(
            event_id="cancellation-C600003",
            customer_id="17001",
            occurred_at=utc("2010-01-05T08:00"),
            form=ComplaintForm.CANCELLATION,
            complaint_id="C600003",
            amount=-4.5,
        ),
    ]


def test_online_retail_1_spells_its_columns_and_times_otherwise(read: Read) -> None:
    _, events = read("online-retail-1.csv", "online-retail")
    assert [(type(e), e.customer_id, e.occurred_at) for e in events] == [
        (Order, "18001", utc("2010-12-01T08:26")),
        (Complaint, "18001", utc("2010-12-02T14:05")),
    ]
    order = events[0]
    assert isinstance(order, Order)
    assert order.amount == pytest.approx(6 * 2.55 + 2 * 3.39)


def test_cdnow_has_blanks_between_and_keeps_leading_zeros(read: Read) -> None:
    _, events = read("cdnow.txt", "cdnow")
    assert [
        (e.customer_id, e.occurred_at.date().isoformat(), e.amount, e.items) for e in events if isinstance(e, Order)
    ] == [
        ("00102", "1997-01-01", 120.1, 10),
        ("00101", "1997-01-03", 23.54, 2),
        ("00101", "1997-02-15", 11.77, 1),
    ]


def test_tmall_keeps_repeated_clicks_and_orders_a_day_by_kind(read: Read) -> None:
    summary, events = read("tmall.csv", "tmall")
    assert summary.kinds == {"browsing": 3, "cart": 2, "order": 1}
    assert [(type(e), e.customer_id) for e in events] == [
        (Browsing, "5500"),
        (Browsing, "5500"),
        (Browsing, "6600"),
        (Cart, "6600"),
        (Order, "5500"),
        (Cart, "0700"),
    ]
    assert len({event.event_id for event in events}) == 6
    assert [e.action for e in events if isinstance(e, Cart)] == [CartAction.FAVOURITE, CartAction.ADD]
    assert [(e.amount, e.category) for e in events if isinstance(e, Order)] == [(1.0, "71")]


def test_rees46_makes_one_order_of_a_purchase(read: Read) -> None:
    summary, events = read("rees46.csv", "rees46")
    assert (summary.lines, summary.events) == (6, 5)
    view, add, remove, order, other = events
    assert view == Browsing(
        event_id="0-2",
        customer_id="512000001",
        occurred_at=utc("2019-11-01T00:00"),
        page=Page.PRODUCT,
        product_id="9001",
        category="electronics.clock",
        session_id="aaaa-1",
        price=35.79,
    )
    assert isinstance(add, Cart)
    assert isinstance(remove, Cart)
    assert (add.action, remove.action, remove.category) == (CartAction.ADD, CartAction.REMOVE, None)
    assert isinstance(order, Order)
    assert (order.amount, order.items, order.product_id) == (40.0, 2, None)
    assert other.customer_id == "512000002"


def test_retailrocket_counts_milliseconds(read: Read) -> None:
    _, events = read("retailrocket.csv", "retailrocket")
    assert [type(event) for event in events] == [Browsing, Browsing, Cart, Order]
    assert events[1].at == 1_433_221_332_117_000
    order = events[3]
    assert isinstance(order, Order)
    assert (order.at, order.order_id, order.items, order.amount) == (1_433_221_500_400_000, "4001", 2, None)


def test_taobao_has_no_header_and_counts_seconds(read: Read) -> None:
    summary, events = read("taobao-userbehavior.csv", "taobao-userbehavior")
    assert summary.lines == 5
    assert [(type(e), e.customer_id) for e in events] == [
        (Browsing, "12"),
        (Browsing, "11"),
        (Cart, "11"),
        (Cart, "11"),
        (Order, "11"),
    ]
    assert events[1].occurred_at == utc("2017-11-24T17:21:10")
    assert [e.action for e in events if isinstance(e, Cart)] == [CartAction.FAVOURITE, CartAction.ADD]

"""Write down what the present release stores and sends, and what it reads out of it: a fixture for later releases.

It runs the real services over a small simulated shop. Run it with the release that the fixture is of, as the page
docs/state-formats.md says; 0.1.1 was made by this script as it was before the modules moved.

    python tests/data/upgrade/generate.py 0.1.1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import lzma
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from stream_app.core.messages.outgoing import Outgoing, pack

sys.path.append(str(Path(__file__).resolve().parents[3]))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
from aiohttp import web
from confluent_kafka import Producer

import stream_app
from stream_app.adapters.kafka.partitioner import partition_of
from stream_app.config import Topics, confluent_options
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate, alert_id
from stream_app.core.alerts.ranking import Ranking
from stream_app.core.alerts.sla import UNANSWERED, UNSOLVED, UrgentCase, breach_id
from stream_app.core.alerts.staff_actions import MAX_STAFF, AlertNote, WorkNote
from stream_app.core.allocation.allocator import AllocatorPosition
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.customers.codec.states import encode_customers
from stream_app.core.customers.codec.vectors import MAX_VALUE
from stream_app.core.customers.customer import ID_BYTES, Customer
from stream_app.core.delivery.records import (
    ChannelState,
    Delivery,
    OutboundMessage,
    Request,
    encode_record,
)
from stream_app.core.events.enumerations import CartAction, ComplaintAction, ContactAction, OrderAction
from stream_app.core.events.schema import Browsing, Cart, Complaint, Contact, Order, encode as encode_event
from stream_app.core.kpis.aggregator import KpiState
from stream_app.core.kpis.monthly_churn import MonthCount
from stream_app.core.messages.alerts import AlertClosed, AlertOpened
from stream_app.core.messages.batches import CandidateBatch, LabelledBatch, LabelledExample, ScoreRecord, ScoreRecords
from stream_app.core.messages.decoding import ROLES
from stream_app.core.messages.outbox_reader import ReadPosition
from stream_app.core.messages.schema import (
    AlertAction,
    AlertOpening,
    AlertStep,
    AllocationDone,
    CandidateRecord,
    Tick,
    encode_message,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.model.features import NAMES
from stream_app.core.model.labels import Pending
from stream_app.core.model.scores import EXPERTS
from stream_app.core.model.snapshot import pickle_body, restore, snapshot
from stream_app.core.partition import outbox
from stream_app.core.partition.commit import Commit
from stream_app.core.partition.progress import Hold, Position, Summary
from stream_app.core.settings import Settings
from stream_app.core.shops.capabilities import KnownShop
from stream_app.core.state.counters import COUNTERS, MOST
from stream_app.core.state.vector import CASES, ID_RING, SLOTS
from stream_app.core.training.trainer import Checkpoint
from stream_app.core.units import DAY_US, EPOCH, MICROSECOND
from stream_app.ports import ModelVersion, Outcome
from stream_app.services.runtime.stores import Stores
from tests.harness.processes import LiveSystem, outcome_of
from tests.harness.processes.outcome import messages_of
from tests.harness.receivers import SiteThread
from tests.harness.shops import separable
from tests.harness.stored import (
    KINDS,
    Restored,
    export,
    learner_values,
    message_value,
    plain_outcome,
    read_keyspace,
    summary_value,
    write_json,
    write_packed,
)

PREFIX: Final = "churn"
# A model that learns enough to be asked within months, few versions of it, and alerts on most days.
SETTINGS: Final = {
    "redis.prefix": PREFIX,
    "kafka.partitions": "2",
    "shop.horizon": "21d",
    "shop.active_window": "40d",
    "shop.decide_every": "2d",
    "shop.capacity": "2",
    "shop.alert_above": "0.3",
    "trainer.keep": "1",
    "health.watchdog_after": "0s",
}
CUSTOMERS, DAYS, SPLIT_DAY, SEED = 60, 125, 110, 11
CHANNELS: Final = ("hook", "team", "closed")
CHANNEL_FILE: Final = """\
mode: live
digest: {settle: 200ms}
retry: {schedule: [10s], give_up_after: 365d}
channels:
  hook: {kind: webhook, url: "URL/hook", secret: "env:HOOK", allow_private: true, timeout: 5s}
  team: {kind: dingtalk, url: "env:DING", allow_private: true}
  closed: {kind: webhook, url: "URL/closed", secret: "env:HOOK", allow_private: true, timeout: 5s, alerts: urgent}
"""
SECRET: Final = "whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="
KEY: Final = "a key of the tests that signs nothing but these fixtures".replace(" ", "-")
FAR: Final = datetime(2190, 1, 1, tzinfo=UTC)  # alerts that expire then are pending whenever a test runs
NOW: Final = 5_000_000_000_000_000  # the moment at which the deliverer starts, microseconds: in 2128
SAMPLE: Final = 12  # records of each topic and partition
SECONDS: Final = 300.0


# --- values by hand --------------------------------------------------------------------------------------------------


def made_customers() -> list[tuple[str, bytes]]:
    """Customers that no small shop has: empty, of the largest size, with odd names, times and numbers."""
    rng = np.random.default_rng(SEED)
    at = 1_704_067_200_000_000
    empty, odd = Customer("empty", 0), Customer("odd \ud800 名", 1)
    for place, value in enumerate(
        (-0.0, 255.0, 256.0, 65_535.0, 65_536.0, -1e9, MAX_VALUE, -MAX_VALUE, 2.0**63, 5e-324)
    ):
        odd.vector[place] = value
    odd.due, odd.ids = -(10**10) * 1_000_000, bytes(ID_BYTES) + b"\xff" * ID_BYTES
    odd.waiting = [_decision(odd.name, -(10**9) * 1_000_000, rng), _decision(odd.name, 0, rng)]
    large = Customer("large", 2)
    large.vector[:] = type(large.vector)("d", rng.normal(0.0, 1.0, len(SLOTS)))
    large.ids = b"".join(number.to_bytes(ID_BYTES, "little") for number in range(ID_RING))
    large.counters[:] = type(large.counters)("H", [MOST] * len(COUNTERS))
    large.waiting = [_decision("large", at + day * DAY_US, rng) for day in range(4)]
    large.alert = _an_episode("large", at, own_id="al_by_hand")
    worked: dict[str, Any] = {"owner": "𠀀" * MAX_STAFF, "acked_at": 2**60, "snoozed_until": 2**60}
    for place in range(CASES):
        for kind in (UNANSWERED, UNSOLVED):
            target = (2**60 + place, kind)
            case = UrgentCase(breach_id("large", target), 2**60, **worked, resolved=place % 2 > 0)
            large.cases[target] = case
    acked, snoozed, urgent = Customer("acked", 3), Customer("snoozed", 4), Customer("urgent", 5)
    acked.alert = replace(_an_episode("acked", at), owner="li", acked_at=at + 5)
    snoozed.alert = replace(_an_episode("snoozed", at, 8.5), owner="wang", acked_at=at, snoozed_until=at + DAY_US)
    target = (at, UNANSWERED)
    urgent.cases[target] = UrgentCase(breach_id("urgent", target), at + DAY_US, "li", at)
    ranking = Ranking(0)
    ranking.add_decision(3, at - DAY_US, 0.5)
    ranking.add_decision(3, at, 0.75)
    ranking.set_latest(np.array([2, 3]), np.array([0.25, 0.625]))
    customers = [empty, odd, large, acked, snoozed, urgent]
    return list(zip([one.name for one in customers], encode_customers(customers, ranking), strict=True))


def _decision(name: str, at: int, rng: np.random.Generator) -> Pending:
    pending = Pending(name, at)
    pending.features = rng.normal(0.0, 9.0, len(NAMES)).astype(np.float16).tobytes()
    pending.log_odds = rng.normal(0.0, 3.0, len(EXPERTS)).astype(np.float16).tobytes()
    pending.probability = float(np.float32(rng.random()))
    pending.source, pending.version = int(rng.integers(2)), int(rng.integers(1 << 24))
    pending.returned = bool(rng.integers(2))
    return pending


def _an_episode(name: str, at: int, usual_gap_days: float = float("nan"), own_id: str = "") -> Alert:
    candidate = AlertCandidate(name, at, 12.5, 0.75, 12.5, 33.0, usual_gap_days, 1, 7)
    told, end = own_id or alert_id(name, at), at + 14 * DAY_US
    return Alert(told, name, at, end, 3, 0.7, candidate, causes=("forgot_shop",), segment="one_time")


def made_summaries() -> list[bytes]:
    """Summaries with everything that a small shop's has not."""
    full = Summary(
        stream_time=1_704_067_200_000_000,
        ticked=1_704_067_100_000_000,
        version=9,
        allocator_moment=1_704_067_000_000_000,
        allocator_sequence=77,
        following=True,
        hold=Hold(1_704_067_100_000_000, trainer=True, allocator=True),
        counts={"accepted": 5, "duplicates": 1, "late": 2, "too_late": 3, "excluded": 4, "scored": 6},
        aggregator=KpiState(
            ["default", "二店"], [MonthCount(19_723, {"default": 3}, {"二店": 1}, {"default": 2}), MonthCount(19_692)]
        ),
        shops=[KnownShop("default", 12_345, 7, 3.25, 1, 2), KnownShop("二店")],
    )
    return [msgspec.json.encode(one) for one in (full, Summary())]


def made_values() -> list[tuple[str, bytes]]:
    """Values of every kind, with and without what may be left out: (kind, bytes)."""
    at, day = datetime(2024, 1, 1, 9, tzinfo=UTC), 19_723
    micros = (at - EPOCH) // MICROSECOND
    why = Explanation(
        "one_time", (Cause("forgot_shop", 0.6), Cause("price", 0.4)), (Evidence("no_visit", {"days": 40.0}),), ("vip",)
    )
    candidate = CandidateRecord("c1", 1.5, 0.75, 12.5, 33.0, 8.5, 1, 7, "二店", why)
    plain_nominee = CandidateRecord("c2", 0.5, 0.5, 0.0, 33.0, None, 0, 0)
    opened = AlertOpened(
        "al_1", "c1", at, at + timedelta(days=14), 1, 0.75, 12.5, 33.0, 8.5, "model", 7, "二店", False, why
    )
    urgent = AlertOpened("al_2", "c2", at, FAR, 0, 0.5, 0.0, 3.0, None, "prior", 0, urgent=True)
    example = LabelledExample("c1", micros, bytes(range(10)), bytes(4), 0.25, 1, 1, 7)
    system: list[Any] = [
        Tick(at),
        Tick(at, 3, learns=True, nominates=True, waits=True, complete=True, ends={"orders": 7}),
        AlertStep(
            "al_1",
            "c1",
            at,
            AlertAction.OPENED,
            sequence=5,
            opening=AlertOpening("al_1", micros, micros + DAY_US, 1, 0.7, candidate),
        ),
        AlertStep("e3", "c1", at, AlertAction.ACKED, staff="li", alert_id="al_1", take_over=True),
        AlertStep("e4", "c1", at, AlertAction.SNOOZED, staff="li", alert_id="al_1", until=at + timedelta(days=1)),
        AlertStep(
            "e5",
            "c1",
            at,
            AlertAction.RESOLVED,
            staff="li",
            alert_id="al_1",
            outcome="retained",
            cause="price",
        ),
        AllocationDone(at, 9),
    ]
    alerts: list[Any] = [
        opened,
        urgent,
        AlertClosed("al_1", "c1", at, "returned"),
        AlertClosed("al_1", "c1", at, "resolved", "lost", "price", "li"),
    ]
    labelled = [LabelledBatch([example], {day: 0.5}, [(day, 3, 2)], micros), LabelledBatch(voids=7)]
    nominated = [
        CandidateBatch(micros, [candidate, plain_nominee], more=True),
        CandidateBatch(0, [], voids=7),
        CandidateBatch(micros, []),
    ]
    scored = ScoreRecords(1, at, 7, [ScoreRecord("c1", 0.75)])
    outbox = [Outgoing(name, 1, b"c1", b"value") for name in ("labelled", "nominations", "scores", "alerts", "control")]
    outbox.append(Outgoing("dead_letters", 0, None, None, [("kafka_dlt-original-topic", b"shop.orders"), ("x", None)]))
    delivery = Delivery("al_1:hook", "al_1", "hook", "default", 1, 2, 3, 4)
    message = OutboundMessage("al_1:hook", "hook", ("al_1:hook",), "title", "*markdown*", "plain", 1, 2, 3)
    full_delivery = Delivery("al_1:hook", "al_1", "hook", "二店", 1, 2, 3, 4, "dead", "closed", True, "dg_1", opened)
    full_letter = OutboundMessage(
        "dg_1", "hook", ("al_1:hook", "al_2:hook"), "题", "文", "字", 1, 2, 3, urgent, 4, 5, "HTTP 500"
    )
    common: dict[str, Any] = {"customer_id": "c1", "occurred_at": at, "event_id": "e1"}
    events: list[Any] = [
        Order(**common), Order(**common, action=OrderAction.RETURNED, order_id="o1", amount=9.5, shop_id="二店"),
        Browsing(**common, category="hats", session_id="s", load_seconds=1.5),
        Cart(**common, action=CartAction.CHECKOUT_ABANDONED, price=3.0),
        Complaint(**common, action=ComplaintAction.OPENED, complaint_id="k", category="quality", text="差"),
        Contact(**common),
        *(
            Contact(**common, action=action, channel="sms", measure="coupon", campaign="618", staff="li", note="为什么")
            for action in ContactAction
        ),
    ]  # fmt: skip
    position = AllocatorPosition({0: ReadPosition(7, 9), 1: ReadPosition()}, micros, 5)
    checkpoint = Checkpoint(micros, {0: ReadPosition(1, 2)}, DAY_US, b"model", {0: 3}, b"q")
    note = AlertNote("al_1", "c1", at, FAR, 1, 0.75, 12.5, 33.0, 8.5, "二店", why, urgent=True)
    return [
        *(("event", encode_event(one)) for one in events),
        *(("system message", encode_message(one)) for one in system),
        *(("alert", encode_message(one)) for one in alerts),
        *(("labelled", pack(one)) for one in labelled),
        *(("nominated", pack(one)) for one in nominated),
        ("scored", encode_message(scored)),
        *(("outbox record", pack(one)) for one in outbox),
        ("position", msgspec.json.encode(Position(dict.fromkeys(ROLES, 7), (micros, 9)))),
        ("allocator's position", msgspec.json.encode(position)),
        ("checkpoint", msgspec.msgpack.encode(checkpoint)),
        ("model version", msgspec.json.encode(ModelVersion(7, micros, "f" * 32, 9, 10, {"linear": 0.5}, micros))),
        ("episode note", msgspec.json.encode(note)),
        ("work note", msgspec.json.encode(WorkNote("li", at, FAR))),
        ("work note", msgspec.json.encode(WorkNote("li", at))),
        *(("delivery", encode_record(one)) for one in (delivery, full_delivery)),
        *(("letter", encode_record(one)) for one in (message, full_letter)),
        *(("channel state", encode_record(one)) for one in (ChannelState(), ChannelState(5, "410", [1, 2]))),
        *(("request", encode_record(one)) for one in (Request("enable", "hook"), Request("redrive"))),
    ]


# --- a small shop, live ----------------------------------------------------------------------------------------------


async def refuse(request: web.Request) -> web.Response:
    """Take one alert, fail for all others; one receiver wants nothing any more."""
    if request.path.endswith("closed"):
        return web.Response(status=410)
    return web.Response(status=204 if "al_taken" in await request.text() else 500)


def produce(live: LiveSystem, role: str, records: Sequence[tuple[str, bytes]]) -> None:
    """Send records by customer."""
    producer = Producer({**confluent_options(live.config.kafka), "linger.ms": 0})
    for customer, value in records:
        producer.produce(
            getattr(live.config.kafka.topics, role), value, customer, partition_of(customer, live.partitions)
        )
    assert producer.flush(30) == 0


def simulated(folder: Path) -> tuple[Path, Path]:
    """Return a simulated log in two parts."""
    whole, first, second = (folder / f"{name}.jsonl" for name in ("whole", "first", "second"))
    LiveSystem({}).run(
        "simulate", "--customers", str(CUSTOMERS), "--days", str(DAYS), "--seed", str(SEED), "--out", str(whole)
    )
    lines = whole.read_bytes().splitlines(keepends=True)
    start = datetime.fromisoformat(json.loads(lines[0])["occurred_at"])
    times = [datetime.fromisoformat(json.loads(line)["occurred_at"]) for line in lines]
    split = sum(at < start + timedelta(days=SPLIT_DAY) for at in times)
    first.write_bytes(b"".join([*lines[:split], *complaints(times[split - 1], lines)]))
    later = sum(at < times[split - 1] + timedelta(hours=30) for at in times)
    second.write_bytes(b"".join(lines[later:]))
    return first, second


def complaints(at: datetime, lines: Sequence[bytes]) -> list[bytes]:
    """Return complaints of some buyers that nobody answers, and a later view, by which they are urgent."""
    names = list(dict.fromkeys(json.loads(line)["customer_id"] for line in lines if b'"order"' in line))[:4]
    opened: list[Any] = [
        Complaint(event_id=f"k{place}", customer_id=name, occurred_at=at, complaint_id=f"k{place}", category="quality")
        for place, name in enumerate(names)
    ]
    seen = Browsing(event_id="k-seen", customer_id=names[0], occurred_at=at + timedelta(hours=30))
    return [encode_event(one) + b"\n" for one in (*opened, seen)]


def staff_acts(live: LiveSystem) -> None:
    """Let the staff take on, put off and end what is open, on the log's own clock."""
    found: Any = [live.redis.hgetall(f"{PREFIX}:{{p{number}}}:episodes") for number in range(live.partitions)]
    notes = sorted(
        (json.loads(note) for of in found for key, note in of.items() if not key.endswith(b":work")),
        key=lambda one: str(one["alert_id"]),
    )
    summaries = [json.loads(live._stored(n, "summary") or b"") for n in range(live.partitions)]
    now = EPOCH + max(one["stream_time"] for one in summaries) * MICROSECOND
    steps: list[tuple[str, bytes]] = []
    urgent = [one for one in notes if one.get("urgent")]
    calm = [one for one in notes if not one.get("urgent")]
    for group in (calm, urgent):
        for place, one in enumerate(group):
            action = (AlertAction.ACKED, AlertAction.SNOOZED, None)[place % 3]
            if action is not None:
                until = now + timedelta(days=2) if action is AlertAction.SNOOZED else None
                name = one["customer_id"]
                steps.append(
                    (
                        name,
                        encode_message(
                            AlertStep(
                                f"w{len(steps)}",
                                name,
                                now,
                                action,
                                staff="李",
                                alert_id=one["alert_id"],
                                until=until,
                            )
                        ),
                    )
                )
    if len(calm) > 2:
        one = calm[2]
        steps.append(
            (
                one["customer_id"],
                encode_message(
                    AlertStep(
                        "w-resolved",
                        one["customer_id"],
                        now,
                        AlertAction.RESOLVED,
                        staff="wang",
                        alert_id=one["alert_id"],
                        outcome="lost",
                        cause="price",
                    )
                ),
            )
        )
    names = [one["customer_id"] for one in calm]
    contacts = [
        Contact(event_id=f"s{place}", customer_id=name, occurred_at=now, channel="sms")
        for place, name in enumerate(names)
    ]
    produce(live, "contacts", list(zip(names, map(encode_event, contacts), strict=True)))
    produce(live, "control", steps)


def alerts_to_deliver() -> list[tuple[str, bytes]]:
    """Return alerts that the deliverer takes, fails at, collects, and finds expired."""
    now = datetime.now(UTC) - timedelta(days=1, hours=1)  # the hour of the digest has come: they wait for others

    def one(name: str, *, urgent: bool, expires_at: datetime = FAR) -> tuple[str, bytes]:
        given: dict[str, Any] = {
            "rank": 0 if urgent else 1,
            "probability": 0.75,
            "monthly_worth": 9.0,
            "silent_days": 30.0,
        }
        alert = AlertOpened(
            f"al_{name}",
            f"customer-{name}",
            now,
            expires_at,
            usual_gap_days=None,
            source="model",
            version=1,
            urgent=urgent,
            **given,
        )
        return f"customer-{name}", encode_message(alert)

    calm = [one(f"calm{place}", urgent=False) for place in range(3)]
    return [
        one("taken", urgent=True),
        one("failing", urgent=True),
        *calm,
        one("late", urgent=True, expires_at=now + timedelta(hours=1)),
    ]


async def touch(live: LiveSystem) -> None:
    """Pin a version, move the clock on, and leave a record in an outbox, as a process that was killed does."""
    stores = Stores(live.config)
    try:
        versions = await stores.models.versions()
        await stores.models.pin(versions[0].number)
        await stores.lease.acquire("generator", 1_000)
        await stores.lease.advance("generator", 1_735_689_600_000_000)
        await stores.lease.release("generator")
        await stores.states.claim("generator")
        opened = await stores.states.open(0)
        async for _ in stores.states.states(0):
            pass
        found = msgspec.json.decode(opened.position, type=Position)
        position = msgspec.json.encode(Position(found.offsets, (found.cursor[0], found.cursor[1] + 1)))
        message = Outgoing(
            outbox.DEAD_LETTERS, 0, b"c1", b"{", [("kafka_dlt-exception-message", b"left in the outbox")]
        )
        commit = Commit(0, opened.position, position, {}, opened.summary, [pack(message)])
        outcome, _ = await stores.states.commit(commit, "1", 0)
        assert outcome is Outcome.DONE
    finally:
        await stores.close()


def full_snapshot(settings: Settings) -> bytes:
    """Return a snapshot that holds all classes that one can hold: its tree has just split, and it has seen drift."""
    churn_model, rng = ChurnModel(settings.horizon, settings.decide_every, seed=1), np.random.default_rng(SEED)
    tree = next(one for one in churn_model.experts if one.name == "tree")
    while b"NumericBinaryBranch" not in pickle_body(tree):
        tree.learn(*separable(rng, 50))
    for day in range(200):
        churn_model._drift.observe(day * DAY_US, 0.3 + 0.5 * (day > 100))
    assert churn_model.drift
    return snapshot(churn_model)


async def contents(live: LiveSystem) -> dict[str, bytes]:
    """Return what the model's signed values hold: the checkpoint, and each version."""
    stores = Stores(live.config)
    try:
        latest = await stores.models.latest()
        assert latest is not None
        found = {"checkpoint": latest[1]}
        for one in await stores.models.versions():
            found[str(one.number)] = await stores.models.snapshot(one.number) or b""
    finally:
        await stores.close()
    return found


def sample(live: LiveSystem) -> list[tuple[str, bytes]]:
    """Return some values of every topic: (kind, bytes)."""
    kinds = {"orders": "event", "cart": "event", "browsing": "event", "complaints": "event", "ticks": "system message"}
    kinds |= {
        "contacts": "event",
        "control": "system message",
        "alerts": "alert",
        "labelled": "labelled",
        "nominations": "nominated",
    }
    found = []
    for role, kind in (kinds | {"scores": "scored"}).items():
        for messages in messages_of(live, role).values():
            step = max(len(messages) // SAMPLE, 1)
            found += [(kind, message.value()) for message in messages[::step][:SAMPLE]]
    return found


def main() -> None:
    """Make the fixture of the release that is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", help="must be the one that is installed")
    parser.add_argument("--kafka", help="address of a broker; default: an own one")
    given = parser.parse_args()
    if given.release != stream_app.__version__:
        parser.error(f"this is release {stream_app.__version__}")
    out = Path(__file__).parent / given.release
    out.mkdir(exist_ok=True)
    (out / "test-key.txt").write_text(KEY + "\n")
    topics = {f"kafka.topics.{role}": f"upgrade.{role}" for role in Topics.model_fields}
    os.environ |= {"HOOK": SECRET}
    settings = {
        **SETTINGS,
        **topics,
        "kafka.group": "upgrade",
        "model.key_file": str(out / "test-key.txt"),
        "worker.publish_scores": "true",
    }
    with SiteThread(hook=refuse, closed=refuse, robot=refuse) as site, LiveSystem(settings, given.kafka) as live:
        os.environ["DING"] = f"{site.url('robot')}?access_token=t"
        channels = live.folder / "channels.yaml"
        channels.write_text(
            CHANNEL_FILE.replace("settle: 200ms", "settle: 10m")
            .replace("URL/hook", site.url("hook"))
            .replace("URL/closed", site.url("closed"))
        )
        live.settings["delivery.config"] = str(channels)
        first, second = simulated(live.folder)
        generate(live, first, second, out)


def generate(live: LiveSystem, first: Path, second: Path, out: Path) -> None:
    """Run the services over the first part, write down what is stored and read, and go on with the second."""
    # 1. The first part of the log, and what the staff does.
    live.run("topics", "create")
    live.run("publish", str(first))
    services = [live.start(name) for name in ("worker", "trainer", "desk", "deliver")]
    live.wait_until_done(SECONDS)
    staff_acts(live)
    live.wait_until_done(SECONDS)
    # 2. Alerts of today, for the deliverer.
    produce(live, "alerts", alerts_to_deliver())
    dead = f"{PREFIX}:{{deliver}}:dead"
    live.wait("alerts are tried", lambda: int(live.redis.scard(dead)) > 1 and _tried(live), SECONDS)
    for service in services:
        assert service.stop() == 0
    live.run("alerts", "enable", "closed")
    asyncio.run(touch(live))
    # 3. What is stored, and what this release reads out of it.
    keyspace = export(live.redis, PREFIX)
    models = asyncio.run(contents(live))
    shop = live.config.shop.settings()
    before = outcome_of(live)
    customers, summaries, values = made_customers(), made_summaries(), [*made_values(), *sample(live)]
    full = full_snapshot(shop)
    write_packed(out / "keyspace.msgpack.xz", {"keys": keyspace, "snapshot": full})
    write_packed(
        out / "values.msgpack.xz",
        {
            "customers": [(n.encode("utf-8", "surrogatepass"), v) for n, v in customers],
            "summaries": summaries,
            "values": values,
        },
    )
    facts = {
        "release": stream_app.__version__,
        "settings": SETTINGS,
        "shop": msgspec.to_builtins(shop),
        "channels": CHANNELS,
        "channel_file": CHANNEL_FILE,
        "channel_secret": SECRET,
        "now": NOW,
    }
    read = {
        "keyspace": read_keyspace(keyspace, shop, live.partitions, models, CHANNELS, NOW),
        "snapshot": learner_values(restore(full)),
        "customers": Restored.of(customers, Settings(horizon=shop.horizon, agreement=0)).values(),
        "summaries": [summary_value(one) for one in summaries],
        "values": [message_value(kind, value) for kind, value in values],
    }
    assert {kind for kind, _ in values} == set(KINDS), set(KINDS) - {kind for kind, _ in values}
    write_json(out / "read.json.xz", read)
    # 4. The second part, as the release that wrote all of this goes on.
    (out / "second.jsonl.xz").write_bytes(lzma.compress(second.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    for service in services[:3]:
        service.restart()
    live.run("publish", str(second), "--after-other-logs")
    live.wait_until_done(SECONDS)
    facts["after"] = plain_outcome(outcome_of(live), before)
    (out / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")


def _tried(live: LiveSystem) -> bool:
    """Whether no delivery waits for its first attempt."""
    deliveries: Any = live.redis.hvals(f"{PREFIX}:{{deliver}}:letters")
    messages = [json.loads(one) for one in deliveries]
    return all(one.get("attempts", 0) or one.get("problem") for one in messages) and len(messages) > 1


if __name__ == "__main__":
    main()

"""Episodes as the staff sees them: found by the beginning of an id, refused in words when they are a colleague's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from stream_app.cli import episodes as shown
from stream_app.config import LiveConfig, load_config
from stream_app.core.alerts.staff_actions import WORK, AlertNote, WorkNote
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.messages.schema import Contact
from stream_app.core.partition.commit import Commit
from stream_app.core.units import EPOCH
from stream_app.errors import AlertTaken, BadOption, NoSuchAlert
from stream_app.notifications.open_alerts import OpenAlert, alert_of, contact_of, open_alerts
from tests.fakes import MemoryServer, MemoryStateStore

DAY = timedelta(days=1)
NOW = EPOCH + 10 * DAY


def alert(alert_id: str = "al_abcdef01", day: int = 9, rank: int = 1, **work: Any) -> OpenAlert:
    opened = EPOCH + day * DAY
    why = Explanation("one_time", (Cause("price", 0.7),))
    note = AlertNote(alert_id, "王小明13812345678", opened, opened + 14 * DAY, rank, 0.87, 320.0, 40.0, explanation=why)
    return OpenAlert(0, note, WorkNote(**work))


def urgent(alert_id: str = "al_urgent01", day: int = 8, **work: Any) -> OpenAlert:
    why = Explanation("complaining", (Cause("service", 0.6),), (Evidence("unanswered", {"hours": 24.0}),))
    note = msgspec.structs.replace(alert(alert_id, day).note, rank=0, urgent=True, probability=0.0, explanation=why)
    return OpenAlert(0, note, WorkNote(**work))


def stored(*alerts: OpenAlert) -> MemoryStateStore:
    notes = {one.note.alert_id: msgspec.json.encode(one.note) for one in alerts}
    notes |= {one.note.alert_id + WORK: msgspec.json.encode(one.work) for one in alerts if one.work.owner}
    store = MemoryStateStore(MemoryServer())

    async def fill() -> None:
        await store.claim("w")
        await store.commit(Commit(0, b"", b"1", {}, b"", [], notes), "1", 0)

    asyncio.run(fill())
    return store


@pytest.mark.parametrize(
    "bad", [b"?", b"\xff\xfe", b"[]", msgspec.json.encode(alert().note).replace(b"320.0", b"null")]
)
def test_an_episode_that_cannot_be_read_is_named_and_the_others_are_listed(bad: bytes) -> None:
    store, skipped = MemoryStateStore(MemoryServer()), list[str]()
    notes = {"al_bad": bad, "al_good": msgspec.json.encode(alert("al_good").note)}

    async def listed() -> list[OpenAlert]:
        await store.claim("w")
        await store.commit(Commit(0, b"", b"1", {}, b"", [], notes), "1", 0)
        return await open_alerts(store, [0], skipped.append)

    assert [one.note.alert_id for one in asyncio.run(listed())] == ["al_good"]
    assert len(skipped) == 1
    assert "'al_bad' of partition 0" in skipped[0]


def test_a_sign_whose_numbers_are_unknown_fails_no_list() -> None:
    why = Explanation("complaining", (Cause("new_cause", 0.6),), (Evidence("unanswered", {}),))
    note = msgspec.structs.replace(urgent().note, explanation=why)
    assert shown._why(note, "en") == "new cause"


def test_the_latest_day_comes_first_and_within_it_the_rank() -> None:
    kept = [alert("al_a", 8, 1), alert("al_b", 9, 2, owner="li"), alert("al_c", 9, 1)]
    found = asyncio.run(open_alerts(stored(*kept), [0, 1]))
    assert found == [kept[2], kept[1], kept[0]]


def test_urgent_cases_come_before_everything() -> None:
    kept = [alert("al_a", 9, 1), urgent(day=3), urgent("al_urgent02", 4)]
    assert asyncio.run(open_alerts(stored(*kept), [0])) == [kept[2], kept[1], kept[0]]


def test_a_note_that_was_stored_before_there_were_cases_is_an_episode() -> None:
    old = msgspec.to_builtins(alert().note)
    assert "urgent" not in old
    assert msgspec.convert(old, AlertNote).urgent is False


def test_an_id_may_be_named_by_its_beginning_if_no_other_begins_so() -> None:
    known = [alert("al_abcdef01"), alert("al_abcdef02"), alert("al_xyz98765")]
    assert alert_of(known, "al_abcdef02") is known[1]
    assert alert_of(known, "al_xyz") is known[2]
    for odd, why in [("al_abc", "2 begin so"), ("al_", "may have ended"), ("nothing", "may have ended")]:
        with pytest.raises(NoSuchAlert, match=why):
            alert_of(known, odd)


def test_a_second_person_is_refused_in_words_unless_the_episode_is_taken_over() -> None:
    taken = alert(owner="li")
    with pytest.raises(AlertTaken, match=r"belongs to li\. Ask li, or add --take-over"):
        contact_of(taken, "episode_acked", "wang", NOW, take_over=False)
    contact = contact_of(taken, "episode_acked", " wang ", NOW, take_over=True)
    assert (contact.staff, contact.take_over, contact.alert_id) == ("wang", True, "al_abcdef01")
    assert contact_of(taken, "episode_resolved", "li", NOW, take_over=False).staff == "li"
    with pytest.raises(BadOption, match="Give your name"):
        contact_of(taken, "episode_acked", "  ", NOW, take_over=False)


def test_two_contacts_never_have_one_id() -> None:
    ids = {contact_of(alert(), "episode_acked", "li", NOW, take_over=False).event_id for _ in range(100)}
    assert len(ids) == 100


class Given:
    """The command's surroundings: a store, and what is written, applied or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kept: OpenAlert) -> None:
        self.written: list[Contact] = []
        found = list(kept)

        async def here(*_: object) -> tuple[list[OpenAlert], Any]:
            return found, NOW

        async def applied(*_: object) -> bool:
            return True

        monkeypatch.setattr(shown, "_found", here)
        monkeypatch.setattr(shown, "_applied", applied)
        monkeypatch.setattr(shown, "send_contact", lambda _, contact: self.written.append(contact))
        self.config: LiveConfig = load_config(None, {"shop.zone": "Asia/Shanghai"})
        self.out = StringIO()
        self.console = Console(file=self.out, width=200)


def test_the_list_masks_customers_and_leaves_out_who_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    rests = alert("al_rests", owner="li", snoozed_until=NOW + DAY)
    given = Given(monkeypatch, alert(), rests)
    shown.run_list(given.config, "table", "zh", given.console, everything=False)
    text = given.out.getvalue()
    assert "王••••5678" in text
    assert "小明" not in text
    assert "87%" in text
    assert "al_rests" not in text
    assert "另有 1 件暂缓" in text
    shown.run_list(given.config, "table", "en", given.console, everything=True)
    assert "al_rests" in given.out.getvalue()


def test_an_urgent_case_says_which_target_was_missed_and_has_no_rank() -> None:
    out = StringIO()
    zone = ZoneInfo("Asia/Shanghai")
    shown._show([urgent(), alert()], zone, "en", Console(file=out, width=200))
    (line,) = [line for line in out.getvalue().splitlines() if "al_urgent01" in line]
    assert "urgent" in line
    assert "a complaint has had no answer within 24 hours" in line
    assert "%" not in line  # who has never ordered has no score
    shown._show([urgent()], zone, "zh", Console(file=out, width=200))
    assert "紧急" in out.getvalue()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_in_80_columns_every_id_stands_whole_on_a_line_and_nothing_is_lost(lang: str) -> None:
    out = StringIO()
    kept = [urgent("al_" + "0" * 32, owner="wang"), alert("al_" + "1" * 32), alert("al_" + "2" * 32, owner="li")]
    shown._show(kept, ZoneInfo("Asia/Shanghai"), lang, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert [line for line in lines if line.startswith("al_")] == [one.note.alert_id for one in kept]
    assert max(map(cell_len, lines)) <= 80
    whole = " ".join(" ".join(lines).split())
    for said in ("王••••5678", "87%", "320", "wang", "2" * 32):
        assert said in whole
    why = {"en": "a complaint has had no answer within 24 hours", "zh": "投诉超过 24 小时仍未答复"}
    assert why[lang] in whole


def test_an_episode_is_put_off_for_a_while_or_until_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch, alert())
    said: dict[str, Any] = {"staff": "li", "take_over": False}
    for until in ("2d", "1970-01-13T08:00+08:00"):
        shown.run_work(given.config, "al_abcdef01", "episode_snoozed", said | {"until": until}, "en", given.console)
    assert [contact.until for contact in given.written] == [NOW + 2 * DAY, NOW + 2 * DAY]
    assert "rests until 1970-01-13 08:00" in given.out.getvalue()
    for odd in ("1970-01-13T08:00", "1970-01-01T08:00+08:00"):
        with pytest.raises(BadOption, match="Give a time to come"):
            shown.run_work(given.config, "al_abcdef01", "episode_snoozed", said | {"until": odd}, "en", given.console)


def test_what_came_of_an_episode_is_written_as_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch, alert(owner="li"))
    said = {"staff": "li", "take_over": False, "outcome": "retained", "cause": "price", "note": ""}
    shown.run_work(given.config, "al_abcd", "episode_resolved", said, "zh", given.console)
    (contact,) = given.written
    assert (contact.outcome, contact.cause, contact.note) == ("retained", "price", None)
    assert contact.occurred_at == NOW
    assert "已结案：retained" in given.out.getvalue()

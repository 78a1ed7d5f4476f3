"""Episodes as the staff sees them: found by the beginning of an id, refused in words when they are a colleague's."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from stream_app.core.alerts.staff_actions import WORK, AlertNote, WorkNote
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.partition.commit import Commit
from stream_app.core.units import EPOCH
from stream_app.errors import AlertTaken, BadOption, NoSuchAlert
from stream_app.notifications.open_alerts import OpenAlert, alert_of, open_alerts, step_of
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
    for odd, why in [
        ("al_abc", "2 alerts match"),
        ("al_", "shows the open ones"),
        ("nothing", "shows the open ones"),
    ]:
        with pytest.raises(NoSuchAlert, match=why):
            alert_of(known, odd)


def test_a_second_person_is_refused_in_words_unless_the_episode_is_taken_over() -> None:
    taken = alert(owner="li")
    with pytest.raises(AlertTaken, match=r"belongs to li\. Ask li, or add --take-over"):
        step_of(taken, "episode_acked", "wang", NOW, take_over=False)
    step = step_of(taken, "episode_acked", " wang ", NOW, take_over=True)
    assert (step.staff, step.take_over, step.alert_id) == ("wang", True, "al_abcdef01")
    assert step_of(taken, "episode_resolved", "li", NOW, take_over=False).staff == "li"
    with pytest.raises(BadOption, match="Give your name"):
        step_of(taken, "episode_acked", "  ", NOW, take_over=False)


def test_two_steps_never_have_one_id() -> None:
    ids = {step_of(alert(), "episode_acked", "li", NOW, take_over=False).event_id for _ in range(100)}
    assert len(ids) == 100

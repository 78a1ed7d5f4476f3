"""`stream-app alerts`: the table, and actions of the staff."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from stream_app.cli import alerts as shown, app
from stream_app.core.alerts.staff_actions import AlertNote, WorkNote
from stream_app.core.causes.explanation import Cause, Evidence, Explanation
from stream_app.core.messages.contact_rules import ContactRules
from stream_app.core.messages.schema import AlertStep
from stream_app.core.units import EPOCH
from stream_app.i18n import Translator
from stream_app.notifications.open_alerts import OpenAlert

DAY = timedelta(days=1)
NOW = EPOCH + 10 * DAY


def alert(alert_id: str = "al_abcdef01", **work: Any) -> OpenAlert:
    opened = EPOCH + 9 * DAY
    why = Explanation("one_time", (Cause("price", 0.7),))
    note = AlertNote(alert_id, "王小明13812345678", opened, opened + 14 * DAY, 1, 0.87, 320.0, 40.0, explanation=why)
    return OpenAlert(0, note, WorkNote(**work))


def urgent(alert_id: str = "al_urgent01", **work: Any) -> OpenAlert:
    why = Explanation("complaining", (Cause("service", 0.6),), (Evidence("unanswered", {"hours": 24.0}),))
    note = msgspec.structs.replace(alert(alert_id).note, rank=0, urgent=True, probability=0.0, explanation=why)
    return OpenAlert(0, note, WorkNote(**work))


class Commands:
    """Runs `stream-app alerts` over given alerts; `written` are the steps it writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kept: OpenAlert) -> None:
        self.written: list[AlertStep] = []

        async def found(*_: object) -> tuple[list[OpenAlert], Any]:
            return list(kept), NOW

        async def applied(*_: object) -> bool:
            return True

        monkeypatch.setattr(shown, "with_stores", lambda _, task: asyncio.run(task(None)))
        monkeypatch.setattr(shown, "_found", found)
        monkeypatch.setattr(shown, "_applied", applied)
        monkeypatch.setattr(shown, "ControlProducer", lambda _: SimpleNamespace(send=self.written.append))

    def run(self, *words: str, width: int = 200) -> Result:
        environ = {"COLUMNS": str(width), "STREAM_APP_SHOP__ZONE": "Asia/Shanghai", "LC_ALL": "en_GB.UTF-8"}
        return CliRunner().invoke(app, ["alerts", *words], env=environ)


def test_the_list_masks_customers_and_omits_snoozed_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(monkeypatch, alert(), alert("al_rests", owner="li", snoozed_until=NOW + DAY))
    text = commands.run("list", "--lang", "zh").stdout
    assert "王••••5678" in text
    assert "小明" not in text
    assert "87%" in text
    assert "al_rests" not in text
    assert "另有 1 条暂缓" in text
    assert "al_rests" in commands.run("list", "--all").stdout


def test_json_lists_all_alerts_with_full_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(monkeypatch, alert(), alert("al_rests", owner="li", snoozed_until=NOW + DAY))
    found = [json.loads(line) for line in commands.run("list", "--json").stdout.splitlines()]
    assert [one["alert_id"] for one in found] == ["al_abcdef01", "al_rests"]
    assert {one["customer_id"] for one in found} == {"王小明13812345678"}
    assert json.loads(commands.run("show", "al_abc").stdout) == found[0]


def test_the_list_and_json_have_the_contact_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ContactRules(("09:00-12:00", "14:00-18:00"), "Asia/Shanghai")
    told = OpenAlert(0, msgspec.structs.replace(alert().note, contact_rules=rules), WorkNote())
    commands = Commands(monkeypatch, told, alert("al_abcdef02"))
    assert commands.run("list").stdout.endswith("\nContact hours: 09:00-12:00, 14:00-18:00\n")
    assert commands.run("list", "--lang", "zh").stdout.endswith("\n联系时段：09:00-12:00、14:00-18:00\n")
    assert json.loads(commands.run("show", "al_abcdef01").stdout)["contact_rules"] == json.loads(
        msgspec.json.encode(rules)
    )
    assert "Contact hours" not in Commands(monkeypatch, alert()).run("list").stdout


def test_without_alerts_the_list_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Commands(monkeypatch).run("list").stdout == "There are no open alerts.\n"


def test_an_urgent_alert_names_the_missed_target_and_has_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(monkeypatch, urgent(), alert())
    (line,) = [one for one in commands.run("list").stdout.splitlines() if "al_urgent01" in one]
    assert "urgent" in line
    assert "a complaint was not answered within 24 hours" in line
    assert "%" not in line  # customers without an order have no score
    assert "紧急" in commands.run("list", "--lang", "zh").stdout


def test_evidence_with_unknown_numbers_does_not_break_the_list() -> None:
    why = Explanation("complaining", (Cause("new_cause", 0.6),), (Evidence("unanswered", {}),))
    note = msgspec.structs.replace(urgent().note, explanation=why)
    assert shown.cause_of(note, Translator("en")) == "new cause"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_in_80_columns_ids_stay_whole_and_nothing_is_lost(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [urgent("al_" + "0" * 32, owner="wang"), alert("al_" + "1" * 32), alert("al_" + "2" * 32, owner="li")]
    lines = Commands(monkeypatch, *kept).run("list", "--lang", lang, width=80).stdout.splitlines()
    assert [line for line in lines if line.startswith("al_")] == [one.note.alert_id for one in kept]
    assert max(map(cell_len, lines)) <= 80
    whole = " ".join(" ".join(lines).split())
    why = {"en": "a complaint was not answered within 24 hours", "zh": "投诉超过 24 小时仍未答复"}
    assert [text for text in ("王••••5678", "87%", "320", "wang", "2" * 32, why[lang]) if text not in whole] == []


def test_snooze_takes_a_duration_or_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(monkeypatch, alert())
    for until in ("2d", "1970-01-13T08:00+08:00"):
        done = commands.run("snooze", "al_abcdef01", "--staff", "li", "--until", until)
        assert "is snoozed until 1970-01-13 08:00" in done.stdout
    assert [step.until for step in commands.written] == [NOW + 2 * DAY, NOW + 2 * DAY]
    for odd in ("1970-01-13T08:00", "1970-01-01T08:00+08:00"):
        done = commands.run("snooze", "al_abcdef01", "--staff", "li", "--until", odd)
        assert (done.exit_code, "Use a future time" in done.stderr) == (2, True)


def test_resolve_writes_outcome_and_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(monkeypatch, alert(owner="li"))
    options = ("--staff", "li", "--outcome", "retained", "--cause", "price", "--lang", "zh")
    assert "已关闭：retained" in commands.run("resolve", "al_abcd", *options).stdout
    (step,) = commands.written
    assert (step.outcome, step.cause, step.note) == ("retained", "price", None)
    assert step.occurred_at == NOW


@pytest.mark.parametrize(("option", "value"), [("--outcome", "great"), ("--cause", "weather")])
def test_an_unknown_outcome_or_cause_is_rejected(option: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"--staff": "li", "--outcome": "lost"} | {option: value}
    words = [word for pair in options.items() for word in pair]
    done = Commands(monkeypatch, alert()).run("resolve", "al_abcd", *words)
    assert (done.exit_code, f"Invalid value '{value}' for {option}" in done.stderr) == (2, True)

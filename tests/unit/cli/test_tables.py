"""What commands list, in a terminal of 80 columns and in a wide one: ids stay whole, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner, Result

from stream_app.cli import app, deliveries, model, state
from stream_app.cli.model import KeptVersions
from stream_app.cli.tables import show_table
from stream_app.core.delivery.records import (
    DEAD,
    PENDING,
    REASONS,
    SENT,
    SHADOW,
    STATES,
    SUPPRESSED,
    Delivery,
    OutboundMessage,
    encode_record,
)
from stream_app.core.model.churn_model import ChurnModel
from stream_app.core.units import DAY_US, EPOCH, HOUR_US, MICROSECOND
from stream_app.notifications.playbook.measures import CAUSES
from stream_app.ports import ModelVersion
from tests.harness.shops import SHOP, T0

IDS = [f"al_{digit * 32}:service-team" for digit in "0123"]


def shown(width: int = 80) -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, width=width), out


def command(*words: str, width: int = 80) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": str(width), "LC_ALL": "C"})


def fits(text: str, width: int = 80) -> bool:
    return all(cell_len(line) <= width for line in text.splitlines())


# --- the table itself ------------------------------------------------------------------------------------------------


def test_a_table_that_fits_exactly_is_a_table_and_a_cell_narrower_it_is_told_in_lines() -> None:
    rows = [("al_1234567890", "two words", "")]
    columns = {"id": 0, "text": 5, "more": 0}
    needed = len("al_1234567890") + 5 + 4 + 3 * 3 + 1
    console, out = shown(needed)
    show_table(console, "T", columns, rows)
    assert "│ al_1234567890 │ two   │" in out.getvalue()
    assert fits(out.getvalue(), needed)
    console, out = shown(needed - 1)
    show_table(console, "T", columns, rows)
    assert out.getvalue().splitlines()[1:] == ["al_1234567890", "  text: two words"]


def test_an_id_longer_than_the_terminal_is_not_broken() -> None:
    console, out = shown(20)
    show_table(console, "T", {"id": 0, "what": 0}, [("x" * 50, "[red]a[/red]")])
    assert "x" * 50 in out.getvalue().splitlines()
    assert "[red]" in out.getvalue()  # what others have written is no markup


# --- deliveries list -------------------------------------------------------------------------------------------------


class Deliveries:
    """A delivery store that holds what it was given."""

    def __init__(self, *kept: Delivery) -> None:
        self._kept = kept

    async def all_deliveries(self) -> AsyncIterator[list[bytes]]:
        yield [encode_record(one) for one in self._kept]

    async def messages(self, names: list[str]) -> dict[str, bytes]:
        message = OutboundMessage("l", "service-team", (), "", "", "", 0, 0, T0, attempts=3, problem="HTTP 500")
        return {name: encode_record(message) for name in names}

    async def channels(self) -> dict[str, bytes]:
        return {}


def delivery(place: int, state: str, reason: str = "", message: str = "") -> Delivery:
    at = T0 + place * HOUR_US
    name, _, channel = IDS[place].partition(":")
    return Delivery(IDS[place], name, channel, "shop", T0, at, T0 + DAY_US, T0, state, reason, message=message)


KEPT = [
    delivery(0, PENDING, message="l"),
    delivery(1, SENT),
    delivery(2, DEAD, "the receiver answered HTTP 400 for three days"),
    delivery(3, SUPPRESSED, SHADOW),
]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `deliveries list` over some deliveries and returns its output."""

    def run(kept: list[Delivery], *options: str, width: int = 80) -> str:
        store = Deliveries(*kept)
        monkeypatch.setattr(deliveries, "_with_store", lambda _, task: asyncio.run(task(store)))
        return command("deliveries", "list", *options, width=width).output

    return run


@pytest.mark.parametrize("width", [80, 160])
def test_deliveries_say_how_they_are_sorted_and_are_so_with_ids_to_copy(listed: Any, width: int) -> None:
    text = listed(KEPT, width=width)
    assert "latest state change first" in text.splitlines()[0]
    places = [next(number for number, line in enumerate(text.splitlines()) if one in line) for one in reversed(IDS)]
    assert places == sorted(places)
    assert fits(text, width)
    assert "HTTP 500; next attempt at" in " ".join(text.split())


def test_more_than_the_limit_is_said(listed: Any) -> None:
    text = listed(KEPT, "--limit", "1")
    assert "1 of 4" in text
    assert IDS[3] in text
    assert IDS[2] not in text


def test_shadow_is_a_state_to_ask_for(listed: Any) -> None:
    text = listed(KEPT, "--state", SHADOW)
    assert [one for one in IDS if one in text] == [IDS[3]]


@pytest.mark.parametrize("state", [None, *STATES, *REASONS])
def test_every_state_has_words_for_nothing(listed: Any, state: str | None) -> None:
    options = ("--state", state) if state else ()
    text = listed([], *options, "--channel", "team")
    assert text.startswith("There are no ")
    assert "(channel team)" in text
    assert len(text.splitlines()) == 1


def test_a_state_that_does_not_exist_names_the_one_that_was_meant(listed: Any) -> None:
    assert "Did you mean suppressed? Use pending, sent" in listed(KEPT, "--state", "supressed")


def test_json_lists_one_delivery_per_line(listed: Any) -> None:
    lines = [json.loads(line) for line in listed(KEPT, "--json").splitlines()]
    assert [one["delivery"] for one in lines] == IDS[::-1]
    assert set(lines[0]) == {
        *("delivery", "alert", "channel", "shop", "state", "reason", "urgent", "since", "expires", "attempts"),
    }


# --- playbook show ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_playbook_in_80_columns_keeps_the_keys_whole(lang: str) -> None:
    text = command("playbook", "show", "--lang", lang).stdout
    assert [line for line in text.splitlines() if line in CAUSES] == list(CAUSES)
    assert fits(text)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_one_cause_shows_the_measures_of_its_segments(lang: str) -> None:
    text = command("playbook", "show", "price", "--lang", lang).stdout
    lines = command("playbook", "show", "price", "--json", "--lang", lang).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["cause"] for one in found] == ["price"]
    steps = [step for measure in found[0]["measures"].values() for step in measure["steps"]]
    assert [step for step in steps if step not in text] == []


def test_a_key_that_is_nearly_right_names_the_right_one() -> None:
    done = command("playbook", "show", "prices")
    assert (done.exit_code, "Invalid value 'prices' for CAUSE. Did you mean price?" in done.stderr) == (2, True)


# --- state show, model list, model show ------------------------------------------------------------------------------


def test_a_customer_is_shown_with_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {
        "customer": "c" * 60,
        "probability": None,
        "facts": {"last_order": T0 / DAY_US, "order_day_7": T0 // DAY_US, "orders": 3.0},
        "waiting": [{"decided_at": "2024-01-01T00:00:00+00:00", "probability": 0.5, "version": 3, "returned": False}],
    }
    monkeypatch.setattr(state, "with_stores", lambda *_: None)
    monkeypatch.setattr(state, "_content", lambda _: content)
    text = command("state", "show", "c" * 60).stdout
    day = f"{EPOCH + T0 * MICROSECOND:%Y-%m-%d}"
    assert f"{day}T" in text
    assert f"│ {day} " in text  # a day of the shop's calendar has no time
    assert "c" * 60 in text
    assert fits(text)
    assert f"{T0 / DAY_US:g}" not in text


def versions(*numbers: int) -> list[ModelVersion]:
    return [ModelVersion(one, T0, f"{one:032x}", 1_000 * one, 20_000, {}, T0) for one in numbers]


@pytest.mark.parametrize("width", [60, 80])
def test_versions_say_where_they_are_in_force(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(model, "with_stores", lambda *_: KeptVersions(versions(1, 2), 2, {0: 2, 1: 2}))
    text = command("model", "list", width=width).stdout
    assert "pinned, in use" in " ".join(text.replace("│", " ").split())
    assert f"{2:032x}"[:12] in text
    assert fits(text, width)
    found = [json.loads(line) for line in command("model", "list", "--json").stdout.splitlines()]
    assert [(one["number"], one["pinned"], one["in_use_by_partitions"]) for one in found] == [
        (1, False, []),
        (2, True, [0, 1]),
    ]


@pytest.mark.parametrize(("words", "shows"), [((), 2), (("1",), 1)])
def test_without_a_number_the_version_in_force_is_shown(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], shows: int
) -> None:
    async def one(_: Any, number: int) -> tuple[ModelVersion, ChurnModel]:
        return versions(number)[0], ChurnModel(SHOP.horizon, SHOP.decide_every, 1)

    async def kept(*_: Any) -> KeptVersions:
        return KeptVersions(versions(1, 2), None, {0: 2, 1: 1})

    monkeypatch.setattr(model, "with_stores", lambda _, task: asyncio.run(task(None)))
    monkeypatch.setattr(model, "_kept", kept)
    monkeypatch.setattr(model, "_model", one)
    text = command("model", "show", *words).stdout
    assert text.startswith(f"Version {shows}, in use by partition")
    assert f"{shows:032x}" in text
    found = json.loads(command("model", "show", *words, "--json").stdout)
    assert (found["number"], found["churned"], found["drifts"]) == (shows, 0, 0)


def test_without_a_version_in_force_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept, words in (([], "There is no model version yet"), (versions(1), "No version is in use yet")):
        monkeypatch.setattr(model, "with_stores", lambda *_, kept=kept: KeptVersions(kept, None, {0: 0}))
        assert words in command("model", "show").stdout

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

from stream_app.cli import delivered, playbooks, stored
from stream_app.cli.delivered import Wanted
from stream_app.cli.tables import Column, show_table
from stream_app.config import load_config
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
from stream_app.errors import BadOption
from stream_app.notifications.playbook.measures import CAUSES
from stream_app.ports import ModelVersion
from tests.harness.shops import SHOP, T0

IDS = [f"al_{digit * 32}:service-team" for digit in "0123"]


def shown(width: int = 80) -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, width=width), out


def fits(text: str, width: int = 80) -> bool:
    return all(cell_len(line) <= width for line in text.splitlines())


# --- the table itself ------------------------------------------------------------------------------------------------


def test_a_table_that_fits_exactly_is_a_table_and_a_cell_narrower_it_is_told_in_lines() -> None:
    rows = [("al_1234567890", "two words", "")]
    columns = [Column("id"), Column("text", 5), Column("more")]
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
    show_table(console, "T", [Column("id"), Column("what")], [("x" * 50, "[red]a[/red]")])
    assert "x" * 50 in out.getvalue().splitlines()
    assert "[red]" in out.getvalue()  # what others have written is no markup


# --- alerts list -----------------------------------------------------------------------------------------------------


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
    """Runs `alerts list` over some deliveries, and gives what it says."""

    def run(kept: list[Delivery], width: int = 80, **wanted: Any) -> str:
        store = Deliveries(*kept)
        monkeypatch.setattr(delivered, "_with_store", lambda _, work: asyncio.run(work(store)))
        console, out = shown(width)
        asked = Wanted(**({"state": None, "channel": None, "limit": 50, "form": "table"} | wanted))
        delivered.run_list(load_config(environ={}), asked, console)
        return out.getvalue()

    return run


@pytest.mark.parametrize("width", [80, 160])
def test_deliveries_say_how_they_are_sorted_and_are_so_with_ids_to_copy(listed: Any, width: int) -> None:
    text = listed(KEPT, width)
    assert "the last to change its state first" in text.splitlines()[0]
    places = [next(number for number, line in enumerate(text.splitlines()) if one in line) for one in reversed(IDS)]
    assert places == sorted(places)
    assert fits(text, width)
    assert "HTTP 500; again at" in " ".join(text.split())


def test_more_than_the_limit_is_said(listed: Any) -> None:
    text = listed(KEPT, limit=1)
    assert "the latest 1 of 4" in text
    assert IDS[3] in text
    assert IDS[2] not in text


def test_shadow_is_a_state_to_ask_for(listed: Any) -> None:
    text = listed(KEPT, state=SHADOW)
    assert [one for one in IDS if one in text] == [IDS[3]]


@pytest.mark.parametrize("state", [None, *STATES, *REASONS])
def test_every_state_has_words_for_nothing(listed: Any, state: str | None) -> None:
    text = listed([], state=state, channel="team")
    assert text.startswith("No deliver")
    assert "(channel team)" in text
    assert len(text.splitlines()) == 1


def test_a_state_that_does_not_exist_names_the_one_that_was_meant(listed: Any) -> None:
    with pytest.raises(BadOption, match=r"Did you mean suppressed\? Give pending, sent"):
        listed(KEPT, state="supressed")


def test_json_lines_are_as_they_were(listed: Any, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert listed(KEPT, form="json") == ""
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [one["delivery"] for one in lines] == IDS[::-1]
    assert set(lines[0]) == {
        *("delivery", "alert", "channel", "shop", "state", "why", "urgent", "since", "expires", "attempts"),
    }


# --- playbook show ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_playbook_in_80_columns_keeps_the_keys_whole(lang: str) -> None:
    console, out = shown()
    playbooks.run_show("", None, lang, console)
    lines = out.getvalue().splitlines()
    assert [line for line in lines if line in CAUSES] == list(CAUSES)
    assert fits(out.getvalue())


def test_a_key_that_is_nearly_right_names_the_right_one() -> None:
    with pytest.raises(BadOption, match=r"CAUSE cannot be 'prices'\. Did you mean price\?"):
        playbooks.run_show("prices", None, "en", shown()[0])


# --- state show, model list, model show ------------------------------------------------------------------------------


def test_a_customer_is_shown_with_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "customer": "c" * 60,
        "probability": None,
        "facts": {"last_order": T0 / DAY_US, "order_day_7": T0 // DAY_US, "orders": 3.0},
        "waiting": [{"decided_at": "2024-01-01T00:00:00+00:00", "probability": 0.5, "version": 3, "returned": False}],
    }
    monkeypatch.setattr(stored, "_with_stores", lambda *_: found)
    console, out = shown()
    stored.run_show_state(load_config(environ={}), "c" * 60, "table", console)
    text = out.getvalue()
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
    monkeypatch.setattr(stored, "_with_stores", lambda *_: (versions(1, 2), 2, {0: 2, 1: 2}))
    console, out = shown(width)
    stored.run_list_models(load_config(environ={}), console)
    assert "pinned, in force" in " ".join(out.getvalue().replace("│", " ").split())
    assert f"{2:032x}"[:12] in out.getvalue()
    assert fits(out.getvalue(), width)


@pytest.mark.parametrize(("asked", "shows"), [(None, 2), (1, 1)])
def test_without_a_number_the_version_in_force_is_shown(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, shows: int
) -> None:
    class Models:
        async def versions(self) -> list[ModelVersion]:
            return versions(1, 2)

        async def pinned(self) -> None:
            return None

    async def model(_: Any, number: int) -> tuple[ModelVersion, ChurnModel]:
        return versions(number)[0], ChurnModel(SHOP.horizon, SHOP.decide_every, 1)

    async def known(*_: Any) -> tuple[list[ModelVersion], None, dict[int, int]]:
        return versions(1, 2), None, {0: 2, 1: 1}

    monkeypatch.setattr(stored, "_with_stores", lambda _, work: asyncio.run(work(None)))
    monkeypatch.setattr(stored, "_versions", known)
    monkeypatch.setattr(stored, "_model", model)
    console, out = shown()
    stored.run_show_model(load_config(environ={}), asked, console)
    assert out.getvalue().startswith(f"Version {shows}, in force in partition")
    assert f"{shows:032x}" in out.getvalue()


def test_without_a_version_in_force_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept, words in (([], "No version yet"), (versions(1), "No version is in force yet")):
        monkeypatch.setattr(stored, "_with_stores", lambda *_, kept=kept: (kept, None, {0: 0}))
        console, out = shown()
        stored.run_show_model(load_config(environ={}), None, console)
        assert words in out.getvalue()

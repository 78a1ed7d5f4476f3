"""A policy file is read whole, or refused with the line, the field and a remedy."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from stream_app.cli import app
from stream_app.config import load_config
from stream_app.config.policy_file import example_policy, load_policy
from stream_app.core.policy.campaign import Campaign
from stream_app.core.policy.policy import Benefit, Capacity, Cases, Contacts, Currency, Policy, SilenceChance
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift.holdout import Holdout
from stream_app.errors import BadPolicy, ContradictorySettings

FULL = """
capacity: {per_day: 12, reserve: 2, one_time: 60%, repeat: 9}
cases: {expire_after: 10d, cooldown: 3w}
contacts:
  per_week: 2
  rest_after_opt_out: 36h
  quiet_hours: 21:00-09:00
  working_hours: 08:30-18:00
  count_shop_messages: true
benefit:
  cost: 3.5
  months: 6
  chance: 0.2
  again: 0.5
  by_silence:
    - {until: 60d, times: 2}
    - {until: 90d, times: 1.5}
  by_cause: {natural: 0}
  by_channel: {sms: 0.5}
  channel: sms
  stopped: [ad_harassment, price.vip]
currency: {base: CNY, rates: {USD: 7.1}}
campaigns:
  - {name: "618", first_day: 2026-06-01, last_day: 2026-06-18, lull_days: 3}
"""
HOLDOUT = (
    "holdout: {share: 40%, experiment: autumn, window: 30d, planned: 900, ends: true, exempt_worth_above: 500,"
    " later_share: 10%}\n"
)
POLICY = Policy(
    capacity=Capacity(per_day=12, reserve=2, one_time=0.6, repeat=9),
    cases=Cases(expire_after=10 * DAY_US, cooldown=21 * DAY_US),
    contacts=Contacts(2, DAY_US * 3 // 2, "21:00-09:00", "08:30-18:00", count_shop_messages=True),
    benefit=Benefit(
        cost=3.5,
        months=6.0,
        chance=0.2,
        again=0.5,
        by_silence=(SilenceChance(60 * DAY_US, 2.0), SilenceChance(90 * DAY_US, 1.5)),
        by_cause={"natural": 0.0},
        by_channel={"sms": 0.5},
        channel="sms",
        stopped=("ad_harassment", "price.vip"),
    ),
    currency=Currency("CNY", {"USD": 7.1}),
    campaigns=(Campaign("618", date(2026, 6, 1), date(2026, 6, 18), 3),),
)


def own(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_rule_is_read(tmp_path: Path) -> None:
    assert load_policy(own(tmp_path, FULL)) == POLICY
    for name in Policy.__struct_fields__:
        section, default = getattr(POLICY, name), getattr(Policy(), name)
        for field in getattr(section, "__struct_fields__", ()):
            assert getattr(section, field) != getattr(default, field, None), f"{name}.{field} is not tried"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_example_contains_the_defaults_and_names_every_rule(tmp_path: Path, lang: str) -> None:
    text = example_policy(lang)
    assert load_policy(own(tmp_path, text)) == Policy()
    for struct in (Policy, Capacity, Cases, Contacts, Benefit, Currency, Holdout, Campaign, SilenceChance):
        for field in struct.__struct_fields__:
            assert re.search(rf"\b{field}:", text), field


@pytest.mark.parametrize(
    ("text", "line", "field", "says"),
    [
        ("", 1, "the file", "is empty"),
        ("capacity: [1]\n", 1, "capacity", "is not a mapping"),
        ("capacity:\n  per_day: 0\n", 2, "capacity.per_day", "The minimum is 1"),
        ("capacity:\n  reserved: 2\n", 2, "capacity.reserved", "Did you mean reserve?"),
        ("capacity:\n  per_day: 4\n  reserve: 4\n", 3, "capacity.reserve", "leaves no calls"),
        ("capacity:\n  one_time: 140%\n", 2, "capacity.one_time", "Write 40% or 0.4"),
        ("capacity:\n  one_time: 0.4\n", 2, "capacity.one_time", "Write 12, or 40%"),
        ("customers: [c1]\n", 1, "customers", "is unknown"),
        ("cases:\n  cooldown: soon\n", 2, "cases.cooldown", "60d"),
        ("cases:\n  cooldown: -1\n", 2, "cases.cooldown", "is too small"),
        ("contacts:\n  per_week: 8\n", 2, "contacts.per_week", "The maximum is 7"),
        ("contacts:\n  quiet_hours: night\n", 2, "contacts.quiet_hours", "21:00-09:00"),
        (
            "contacts:\n  working_hours: 22:00-06:00\n  quiet_hours: 21:00-09:00\n",
            3,
            "contacts.quiet_hours",
            "cover all working_hours",
        ),
        ("benefit:\n  by_cause:\n    prize: 1\n", 3, "benefit.by_cause.prize", "is not a cause"),
        ("benefit:\n  channel: fax\n", 2, "benefit.channel", "Use one of: phone"),
        ("benefit:\n  stopped: [price.rich]\n", 2, "benefit.stopped[0]", "is not a segment"),
        (
            "benefit:\n  by_silence:\n  - {until: 9d, times: 1}\n  - {until: 9d, times: 1}\n",
            4,
            "benefit.by_silence[1].until",
            "is not longer",
        ),
        ("benefit:\n  by_silence:\n  - {til: 9d, times: 1}\n", 3, "benefit.by_silence[0]", "is missing"),
        ("currency:\n  base: CNY\n  rates:\n    CNY: 1\n", 4, "currency.rates.CNY", "own currency"),
        ("currency:\n  rates:\n    USD: 0\n", 3, "currency.rates.USD", "Use a number above 0"),
        (
            "campaigns:\n- {name: x, first_day: 2026-01-02, last_day: 2026-01-01}\n",
            2,
            "campaigns[0].last_day",
            "before",
        ),
        ("holdout:\n  share: 100%\n", 2, "holdout.share", "less than 1"),
        ("holdout:\n  later_share: 1%\n", 2, "holdout.later_share", "0.07 to less than 1"),
    ],
)
def test_whatever_is_wrong_is_refused_with_line_field_and_remedy(
    tmp_path: Path, text: str, line: int, field: str, says: str
) -> None:
    with pytest.raises(BadPolicy) as caught:
        load_policy(own(tmp_path, text))
    assert caught.value.facts["line"] == line
    assert field in str(caught.value.facts["field"])
    assert says in str(caught.value)
    assert caught.value.facts["remedy"]


def test_a_holdout_is_read(tmp_path: Path) -> None:
    found = load_policy(own(tmp_path, HOLDOUT)).holdout
    assert found == Holdout(0.4, "autumn", 30 * DAY_US, 900, True, 500.0, 0.1)
    assert all(getattr(found, name) != getattr(Holdout(), name) for name in Holdout.__struct_fields__)


def test_a_holdout_of_the_policy_is_in_force() -> None:
    planned, holdout = Settings(rank_by="worth"), Holdout(0.2, "autumn")
    assert planned.with_policy(Policy(holdout=holdout)).holdout == holdout
    assert msgspec.structs.replace(planned, holdout=holdout).with_policy(Policy()).holdout == holdout


def test_the_policy_takes_precedence_over_the_settings_and_its_campaigns_are_added(tmp_path: Path) -> None:
    sale = Campaign("sale", date(2026, 1, 1), date(2026, 1, 2))
    settings = Settings(capacity=30, campaigns=(sale,)).with_policy(POLICY)
    assert (settings.capacity, settings.planned_capacity, settings.alert_lifetime) == (12, 10, 10 * DAY_US)
    assert settings.campaigns == (sale, *POLICY.campaigns)
    assert settings.cooldown == 21 * DAY_US
    assert Settings(lost_after=180 * DAY_US).cooldown == 30 * DAY_US
    with pytest.raises(ContradictorySettings, match="reserve"):
        Settings(capacity=2).with_policy(Policy(capacity=Capacity(reserve=2)))


def test_live_processes_read_the_file_that_the_settings_name(tmp_path: Path) -> None:
    path = own(tmp_path, FULL)
    assert load_config(flags={"shop.policy": str(path)}, environ={}).shop.settings().policy == POLICY
    with pytest.raises(BadPolicy, match="cannot be opened"):
        load_config(flags={"shop.policy": str(tmp_path / "none.yaml")}, environ={})


def test_the_version_changes_with_the_rules_and_not_with_comments(tmp_path: Path) -> None:
    version = load_policy(own(tmp_path, FULL)).version
    assert load_policy(own(tmp_path, f"# reviewed\n{FULL}")).version == version
    assert load_policy(own(tmp_path, FULL.replace("cost: 3.5", "cost: 3.6"))).version != version


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["policy", *words], env={"COLUMNS": "120"})
    return result.exit_code, result.output


def test_the_commands_check_show_and_write_a_policy(tmp_path: Path) -> None:
    path = own(tmp_path, FULL)
    assert run("check", str(path)) == (0, f"{path} is valid. Policy version: {POLICY.version}.\n")
    status, text = run("check", str(own(tmp_path / "..", "cost: 1\n")))
    assert status == 2
    assert "line 1: cost is unknown" in text.replace("\n", " ")
    shown = msgspec.json.decode(run("show", str(path), "--json")[1])
    assert (shown["version"], shown["capacity"]["per_day"]) == (POLICY.version, 12)
    assert shown["cases"] == {"expire_after": "10d", "cooldown": "21d"}
    assert "benefit.cost" in run("show", str(path))[1]
    new = tmp_path / "new.yaml"
    assert run("init", str(new), "--lang", "zh")[0] == 0
    assert load_policy(new) == Policy()
    assert run("init", str(new))[0] == 2  # never overwritten

"""`stream-app uplift`: what it says of a replay with a holdout, in both languages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from stream_app.cli.replay import read_settings
from stream_app.core.alerts.lifecycle import Alert, AlertCandidate
from stream_app.core.causes.explanation import Cause, Explanation
from stream_app.core.events.schema import encode
from stream_app.core.partition.alert_records import opening
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift.figures import Effect, Outlook, ShareFigures, Subject, UpliftFigures
from stream_app.core.uplift.holdout import HELD_OUT, NO_ARM, TREATED, Holdout
from stream_app.errors import BadOption
from stream_app.i18n import Translator
from stream_app.notifications.playbook.playbook import load_playbook
from stream_app.replay.recorded_draws import recorded_draws
from stream_app.replay.uplift import recommended
from stream_app.report.uplift import family_name, lines
from stream_app.simulate import ShopSettings, simulate
from tests.harness.shops import T0, order
from tests.unit.cli.test_commands import run

EFFECT = Effect(0.031, -0.02, 0.082, 0.02)
FOUND = UpliftFigures(
    "spring",
    0.2,
    60.0,
    900,
    100,
    [],
    EFFECT,
    EFFECT,
    0.4,
    [],
    1234.0,
    Outlook(answer=False, days=None, detectable=0.05),
)


def test_a_holdout_is_set_by_two_options_and_the_rest_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text('rank_by = "worth"\n[holdout]\nshare = 0.5\nwindow = "20d"\nends = true\n', encoding="utf-8")
    wanted = Settings(rank_by="worth", holdout=Holdout(0.2, "spring", 20 * DAY_US, ends=True))
    assert read_settings(path, {"holdout.share": 0.2, "holdout.experiment": "spring"}) == wanted
    given = {"rank_by": "worth", "holdout.share": 0.1, "holdout.experiment": None}
    assert read_settings(None, given).holdout == Holdout(0.1)


def test_a_holdout_without_planned_calls_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("", encoding="utf-8")
    done = run("replay", str(log), "--out", str(tmp_path / "out"), "--holdout", "20%", "--rank-by", "risk")
    assert done.exit_code == 2
    assert "Set rank_by to worth or reach." in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_not_within_two_years_is_an_answer(lang: str) -> None:
    said = "\n".join(lines(FOUND, Translator(lang, "uplift"), replayed=True))
    assert "+3.1" in said
    assert "-2.0" in said
    assert "5.0" in said
    assert "1,234" in said
    assert ("not within 2 years" if lang == "en" else "2 年内也看不出") in said


@pytest.mark.parametrize(
    ("lang", "says"), [("en", "50% of 800 customers, then 20% of 100"), ("zh", "800 位客户按 50%")]
)
def test_a_share_that_has_fallen_is_named(lang: str, says: str) -> None:
    fallen = msgspec.structs.replace(FOUND, shares=[ShareFigures(0.5, 800, 390), ShareFigures(0.2, 100, 21)])
    assert says in "\n".join(lines(fallen, Translator(lang, "uplift"), replayed=True))


def test_a_broken_split_is_an_alarm_and_an_answer_is_named() -> None:
    broken = msgspec.structs.replace(FOUND, mismatch=5e4, outlook=Outlook(answer=True, days=0.0, detectable=0.05))
    said = "\n".join(lines(broken, Translator("en", "uplift"), replayed=True))
    assert "Do not trust the effect" in said
    assert "this is an answer" in said
    nothing = msgspec.structs.replace(FOUND, effect=None, placebo=None, cost=None, outlook=None, waiting=0)
    assert len(lines(nothing, Translator("en", "uplift"), replayed=True)) == 3


def test_a_replay_with_a_holdout_is_an_experiment_without_effect(tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    with log.open("wb") as file:
        for batch in simulate(ShopSettings(customers=400, days=250), 3):
            file.writelines(encode(event) + b"\n" for event in batch)
    options = ("--rank-by", "worth", "--capacity", "4", "--lost-after", "90d", "--horizon", "30d")
    done = run("replay", str(log), "--out", str(out), *options, "--holdout", "0.5", "--experiment", "spring")
    assert done.exit_code == 0, done.stderr
    shown = run("uplift", str(out), "--json")
    found = msgspec.json.decode(shown.stdout, type=UpliftFigures)
    assert (found.experiment, found.share, found.window_days) == ("spring", 0.5, 30.0)
    assert found.effect is not None
    assert found.effect.lower < 0.0 < found.effect.upper
    rows = (out / "holdout.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == found.drawn + 1
    assert sum(row.endswith(",,") for row in rows) == found.waiting
    for lang, word in (("en", "called"), ("zh", "联系组")):
        assert word in run("uplift", str(out), "--lang", lang).stdout

    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'id="holdout"' in page
    assert "Placebo" in page

    options = ("--alerts", str(out / "alerts.jsonl"), "--log", str(log), "--holdout", "50%", "--experiment", "spring")
    path = tmp_path / "shop.toml"
    path.write_text('rank_by = "worth"\nhorizon = "30d"\n', encoding="utf-8")
    again = run("uplift", *options, "--settings", str(path), "--json")
    live = msgspec.json.decode(again.stdout, type=UpliftFigures)
    assert live.arms == found.arms
    assert live.effect is not None
    assert live.effect.effect == pytest.approx(found.effect.effect, abs=1e-4)  # alerts.jsonl rounds
    for live_families, families in (
        (live.families, found.families),
        (live.measures, found.measures),
        (live.channels, found.channels),
    ):
        assert [one.family for one in live_families] == [one.family for one in families]
    assert found.measures
    assert sum(one.customers for one in found.channels) <= found.drawn - found.waiting
    assert "A/A" not in run("uplift", *options, "--settings", str(path)).stdout

    policy = tmp_path / "policy.yaml"
    policy.write_text("holdout: {share: 20%, experiment: autumn}\n", encoding="utf-8")
    again = run("uplift", *options, "--settings", str(path), "--policy", str(policy), "--json")
    assert msgspec.json.decode(again.stdout, type=UpliftFigures) == live, "options take precedence"


def test_messages_of_the_topic_are_read_as_the_lines_of_a_replay(tmp_path: Path) -> None:
    candidate = AlertCandidate(
        "ann", T0, 1.0, 0.8, 12.5, 30.0, 8.0, 1, 1, lost_probability=0.7, act_by=T0, arm=HELD_OUT, share=0.2
    )
    explained = Explanation("loyal", (Cause("price", 0.8), Cause("service", 0.1)))
    path, both = tmp_path / "alerts.jsonl", []
    for arm in (HELD_OUT, TREATED):
        one = replace(candidate, customer=arm, arm=arm, explanation=explained)
        both.append(Alert(f"al_{arm}", arm, T0, T0 + DAY_US, 1, 0.8, one, experiment="spring"))
    messages = [opening(0, one, 1)[0].payload for one in both]
    exempt = replace(both[1], candidate=replace(both[1].candidate, arm=NO_ARM), experiment="")
    messages.append(opening(0, exempt, 1)[0].payload)
    path.write_bytes(b"\n".join(messages))
    found, playbook = recorded_draws(path, "spring", load_playbook()), load_playbook()
    measure, channel = recommended(playbook, "price", ("loyal",), 12.5)
    assert measure.startswith("price")
    assert found == [
        Subject(arm, arm, T0, 0.7, 12.5, "price", share=0.2, measure=measure, channel=channel)
        for arm in (HELD_OUT, TREATED)
    ]
    assert recorded_draws(path, "summer", playbook) == []
    path.write_bytes(b"{}")
    with pytest.raises(BadOption, match="Line 1 is not an alert"):
        recorded_draws(path, "spring", playbook)


def test_amounts_are_in_the_shops_currency(tmp_path: Path) -> None:
    log, alerts, policy = (tmp_path / name for name in ("log.jsonl", "alerts.jsonl", "policy.yaml"))
    paid = [
        order(name, T0 + 2 * DAY_US + place, amount=10.0, currency=currency)
        for place, (name, currency) in enumerate((("c1", "USD"), ("c1", "CNY"), ("c2", None)))
    ]
    log.write_bytes(b"".join(encode(one) + b"\n" for one in (*paid, order("c3", T0 + 90 * DAY_US))))
    drawn = [
        {"kind": "opened", "customer_id": name, "at": "2024-01-02T00:00:00Z", "experiment": "calls"}
        for name in ("c1", "c2")
    ]
    alerts.write_bytes(b"\n".join(msgspec.json.encode({**one, "causes": {"price": 1.0}}) for one in drawn))
    policy.write_text("currency: {base: CNY, rates: {USD: 7.5}}\nholdout: {share: 20%}\n", encoding="utf-8")
    shown = run("uplift", "--alerts", str(alerts), "--log", str(log), "--policy", str(policy), "--json")
    assert shown.exit_code == 0, shown.stderr
    found = msgspec.json.decode(shown.stdout, type=UpliftFigures)
    assert [(one.arm, one.customers, one.revenue) for one in found.arms if one.customers] == [(TREATED, 2, 95.0)]


def test_the_recommended_measure_is_that_of_the_message_to_the_staff(tmp_path: Path) -> None:
    own = tmp_path / "playbook.yaml"
    text = "limits: {phone_from: 100}\ncauses:\n  price:\n    vip: {channels: [phone, email]}\n"
    own.write_text(text, encoding="utf-8")
    playbook = load_playbook(own)
    assert recommended(playbook, "price", ("vip", "repeat"), 100.0) == ("price.vip", "phone")
    assert recommended(playbook, "price", ("vip",), 99.0) == ("price.vip", "email")
    assert recommended(playbook, "price", ("nobody",), 99.0)[0] == "price"
    assert recommended(playbook, "unknown", ("vip",), 99.0) == ("", "")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_measures_and_channels_are_named(lang: str) -> None:
    words = Translator(lang, "uplift")
    assert "·" in family_name("measure", "price.vip", words)
    assert family_name("channel", "phone", words) == {"en": "phone", "zh": "电话"}[lang]
    assert family_name("cause", "", words) == words.text("uplift.unknown")


def test_a_folder_without_a_holdout_is_refused(tmp_path: Path) -> None:
    done = run("uplift", str(tmp_path))
    assert done.exit_code == 2
    assert "--holdout" in " ".join(done.stderr.split())
    assert "--alerts" in run("uplift").stderr

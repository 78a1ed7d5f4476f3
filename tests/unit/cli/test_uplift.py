"""`stream-app uplift`: what it says of a replay with a holdout, in both languages."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream_app.cli.replay import read_settings
from stream_app.cli.uplift import lines
from stream_app.core.events.schema import encode
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.core.uplift.figures import Effect, Outlook, UpliftFigures
from stream_app.core.uplift.holdout import Holdout
from stream_app.i18n import Translator
from stream_app.simulate import ShopSettings, simulate
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
    done = run("replay", str(log), "--out", str(tmp_path / "out"), "--holdout", "20%")
    assert done.exit_code == 2
    assert "Set rank_by to worth or reach." in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_not_within_two_years_is_an_answer(lang: str) -> None:
    said = "\n".join(lines(FOUND, Translator(lang, "cli")))
    assert "+3.1" in said
    assert "-2.0" in said
    assert "5.0" in said
    assert "1,234" in said
    assert ("not within 2 years" if lang == "en" else "2 年内也看不出") in said


def test_a_broken_split_is_an_alarm_and_an_answer_is_named() -> None:
    broken = msgspec.structs.replace(FOUND, mismatch=5e4, outlook=Outlook(answer=True, days=0.0, detectable=0.05))
    said = "\n".join(lines(broken, Translator("en", "cli")))
    assert "Do not trust the effect" in said
    assert "this is an answer" in said
    nothing = msgspec.structs.replace(FOUND, effect=None, placebo=None, cost=None, outlook=None, waiting=0)
    assert len(lines(nothing, Translator("en", "cli"))) == 3


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


def test_a_folder_without_a_holdout_is_refused(tmp_path: Path) -> None:
    done = run("uplift", str(tmp_path))
    assert done.exit_code == 2
    assert "--holdout" in " ".join(done.stderr.split())

"""The options of `stream-app replay` that become settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream_app.cli.replay import read_settings
from stream_app.core.expert_spec import BUILT_IN, ExpertSpec
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.errors import BadOption, ContradictorySettings
from stream_app.simulate import ShopSettings, write_log
from tests.unit.cli.test_commands import run

BAYES = ExpertSpec("bayes", "river.naive_bayes.GaussianNB", share=0.2)


@pytest.mark.parametrize("rank_by", ["worth", "reach"])
def test_calls_are_planned_by_two_options(rank_by: str, tmp_path: Path) -> None:
    wanted = Settings(rank_by=rank_by, act_before=45 * DAY_US)
    assert read_settings(None, {"rank_by": rank_by, "act_before": "45d", "capacity": None}) == wanted
    path = tmp_path / "shop.toml"
    path.write_text('rank_by = "risk"\nact_before = 45\n', encoding="utf-8")
    assert read_settings(path, {"rank_by": rank_by}) == wanted


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (("--rank-by", "mood"), "`rank_by`: it is 'mood'. Use risk, worth or reach."),
        (
            ("--act-before", "180d"),
            "`act_before`: it is not shorter than lost_after. Use, for example, a quarter of lost_after.",
        ),
        (("--act-before", "90d", "--lost-after", "90d"), "`act_before`: it is not shorter than lost_after."),
        (("--act-before", "soon"), "Use a form such as 60d"),
    ],
    ids=str,
)
def test_a_plan_that_cannot_be_kept_is_refused(options: tuple[str, ...], remedy: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("", encoding="utf-8")
    done = run("replay", str(log), "--out", str(tmp_path / "out"), *options)
    assert done.exit_code == 2
    assert remedy in " ".join(done.stderr.replace("│", " ").split())


def test_the_experts_are_those_of_the_section_that_services_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(
        '[model]\nexperts = ["linear", {name = "bayes", model = "river.naive_bayes.GaussianNB", share = 0.2}]\n'
        'key_file = "of the services"\n',
        encoding="utf-8",
    )
    assert read_settings(path, {}) == Settings(experts=(BUILT_IN["linear"], BAYES))


@pytest.mark.parametrize("entry", ["3", '["linear"]', "true"])
def test_an_entry_that_is_neither_a_name_nor_a_table_is_refused(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(f'[model]\nexperts = ["linear", {entry}]\n', encoding="utf-8")
    with pytest.raises(ContradictorySettings, match="invalid entry"):
        read_settings(path, {})


@pytest.mark.parametrize("section", ['experts = "linear"', 'expert = ["linear"]', "experts = 3"])
def test_a_section_that_lists_no_experts_is_refused(section: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(f"[model]\n{section}\n", encoding="utf-8")
    with pytest.raises(BadOption, match="`experts`, a list"):
        read_settings(path, {})
    path.write_text('[model]\nexperts = ["tree"]\n', encoding="utf-8")
    with pytest.raises(ContradictorySettings, match="scores events"):
        read_settings(path, {})


def test_an_imported_model_is_beside_the_others_in_all_results(tmp_path: Path) -> None:
    log, settings = tmp_path / "shop.jsonl", tmp_path / "shop.toml"
    with log.open("wb") as file:
        write_log(ShopSettings(customers=100, days=120), 3, file)
    listed = json.dumps(["linear", "cells", "prior", "recency"])[:-1]
    settings.write_text(
        f'[model]\nexperts = {listed}, {{name = "bayes", model = "river.naive_bayes.GaussianNB", share = 0.2}}]\n',
        encoding="utf-8",
    )
    options = ("--settings", str(settings), "--horizon", "20d", "--decide-every", "4d", "--lang", "zh")
    done = run("replay", str(log), "--out", str(tmp_path / "out"), *options)
    assert done.exit_code == 0, done.stderr
    assert "bayes" in done.stderr
    assert "µs" in done.stderr
    found = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert found["experts"].keys() == {"linear", "cells", "prior", "recency", "bayes", "mixture"}
    assert found["experts"]["bayes"]["auc"] > 0.5
    assert found["models"]["course"][-1]["weights"].keys() == {"linear", "cells", "prior", "bayes"}
    assert [one["name"] for one in found["settings"]["experts"]] == ["linear", "cells", "prior", "recency", "bayes"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<code>bayes</code>" in page or ">bayes<" in page


def test_the_cost_of_an_imported_model_is_told_by_a_command() -> None:
    listed = json.dumps(["linear", {"name": "bayes", "model": "river.naive_bayes.GaussianNB"}])
    done = run("model", "check", "--json", "--set", f"model.experts={listed}")
    assert done.exit_code == 0, done.stderr
    linear, bayes = (json.loads(line) for line in done.stdout.splitlines())
    assert linear == {
        "expert": "linear",
        "model": "built-in",
        "scores": "events",
        "first_share": 0.7,
        "decision_us": None,
        "label_us": None,
        "bytes": None,
    }
    assert bayes["decision_us"] > 0.0
    assert bayes["label_us"] > 0.0
    shown = run("model", "check", "--set", f"model.experts={listed}")
    assert "river.naive_bayes.GaussianNB" in shown.stdout
    refused = run("model", "check", "--set", f"model.experts={listed.replace('naive_bayes', 'none')}")
    assert refused.exit_code == 2
    assert "cannot be imported" in " ".join(refused.stderr.replace("│", " ").split())

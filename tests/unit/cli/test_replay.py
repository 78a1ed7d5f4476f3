"""The options of `stream-app replay` that become settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_app.cli.replay import read_settings
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from tests.unit.cli.test_commands import run


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

"""The report and the summary: both languages, one file, no customers, nothing from the network."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from stream_app.core.uplift.figures import ArmFigures, Effect, FamilyEffect, UpliftFigures
from stream_app.i18n import LANGUAGES, Translator, catalogue
from stream_app.replay.evaluation import metrics
from stream_app.replay.evaluation.segments import RFM
from stream_app.replay.evaluation.support import FIELD_GROUPS
from stream_app.replay.results import Results
from stream_app.report import html, ladder, reasons, summary as texts
from stream_app.report.charts.ensemble import weight_chart
from stream_app.report.drawing import Picture
from stream_app.report.html import pictures, render, write_report
from stream_app.report.terminal import summary
from tests.harness.invented_replay import results

PICTURES = ("reach", "right", "lead", "auc", "loss", "calibration", "lift", "churn", "importance", "weights")
REPORT = Path(html.__file__).parent
FEATURES = {"recency_days": ("days", "days since the <last> order", "距上次下单的天数")}


@pytest.fixture(scope="module")
def replayed() -> Results:
    return results(customers=1500, days=450, seed=4)


@pytest.fixture(scope="module")
def figures(replayed: Results) -> Any:
    return metrics(replayed)


@pytest.fixture(scope="module")
def pages(figures: Any) -> dict[str, str]:
    return {lang: render(figures, lang, FEATURES) for lang in LANGUAGES}


# --- the words --------------------------------------------------------------------------------------------------------


def test_every_name_that_the_figures_use_has_a_word() -> None:
    words = catalogue("en", "report")
    assert set(FIELD_GROUPS) <= set(catalogue("en", "explanations")["causes"])
    assert set(RFM.values()) == set(words["rfm"])
    reasons = {"returned", "lost", "fell", "expired"}
    assert reasons <= set(words["alerts"])


def used_keys() -> set[str]:
    files = [*REPORT.rglob("*.py"), *REPORT.rglob("*.j2")]
    return set(re.findall(r"""["']([a-z]+\.[a-z_0-9]+)["']""", "\n".join(f.read_text("utf-8") for f in files)))


def test_every_key_that_is_said_exists() -> None:
    words = catalogue("en", "report")
    known = {f"{part}.{key}" for part, keys in words.items() for key in keys}
    spoken = {key for key in used_keys() if key.split(".")[0] in words}
    assert len(spoken) > 60
    assert spoken <= known


# --- the page ---------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects what matters of a page, and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "link", "br", "img", "input"}:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_whole(pages: dict[str, str], lang: str) -> None:
    reader = read(pages[lang])
    assert (reader.problems, reader.open) == ([], [])
    assert len(reader.ids) == len(set(reader.ids))
    anchors = {value[1:] for tag, name, value in reader.attributes if (tag, name) == ("a", "href")}
    assert anchors <= set(reader.ids)
    assert len(pages[lang].encode()) < 2_000_000


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_loads_nothing(pages: dict[str, str], lang: str) -> None:
    page = pages[lang]
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w+[^\s\"']*", page) == []
    assert re.findall(r"@import|\burl\((?!#)|<link|<iframe|<img|\bfetch\(|XMLHttpRequest|\bimport\(", page) == []
    loading = {(tag, name) for tag, name, _ in read(page).attributes if name in {"src", "srcset", "data", "action"}}
    assert loading == set()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_knows_no_customer(replayed: Results, pages: dict[str, str], lang: str) -> None:
    assert not any(name in pages[lang] for name in replayed.decisions.customers)
    assert not any(a.alert_id in pages[lang] for a in replayed.alerts[:50])
    assert "exports/" not in pages[lang]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_is_left_unsaid(pages: dict[str, str], lang: str) -> None:
    said = " ".join(read(pages[lang]).text)
    assert not re.search(r"\bNone\b|\bnan\b|\{\w*\}|Undefined", said)
    assert f'<html lang="{Translator(lang, "report").html_language}">' in pages[lang]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_holdout_is_reported_where_there_is_one(figures: Any, pages: dict[str, str], lang: str) -> None:
    effect = Effect(0.03, -0.02, 0.08, 0.02)
    families = [FamilyEffect(name, 300, 0.03, 0.01, 0.05) for name in ("phone", "sms")]
    found = UpliftFigures(
        "<spring>",
        0.5,
        60.0,
        900,
        100,
        [ArmFigures("treated", 500, 120, 4_000.0), ArmFigures("held_out", 0, 0, 0.0)],
        effect,
        effect,
        0.4,
        [],
        1_234.0,
        None,
        channels=families,
    )
    page = render({**figures, "uplift": msgspec.to_builtins(found)}, lang)
    said = " ".join(read(page).text)
    assert (read(page).problems, "holdout" in read(page).ids) == ([], True)
    words = Translator(lang, "report", "uplift")
    assert words.text("uplift.effect", effect="+3.0", lower="-2.0", upper="+8.0") in said
    assert words.text("uplift.by_channel") in said
    assert words.text("uplift.by_measure") not in said
    assert "<spring>" not in page
    assert "holdout" not in read(pages[lang]).ids


def headline_of(page: str) -> str:
    found = re.search(r'class="headline">(.*?)</p>', page)
    assert found
    return found[1]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_headline_says_what_is_lost_and_how_much_of_it_is_reached(
    figures: Any, pages: dict[str, str], lang: str
) -> None:
    own, translator = texts.own_row(figures), Translator(lang, "report")
    assert own
    said = headline_of(pages[lang])
    lost = figures["calls"]["lost"]
    assert translator.number(lost["per_month"]) in said
    assert translator.money(lost["monthly_worth_per_month"], "CNY") in said
    assert translator.percent(own["product"]["worth_share"]) in said
    assert translator.percent(own["rules"][own["best_rule"]["worth"]]["worth_share"]) in said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_that_reached_is_not_saved_beside_every_such_figure(pages: dict[str, str], lang: str) -> None:
    page, not_saved = pages[lang], {"en": "not saved", "zh": "不等于挽回"}[lang]
    assert page.index('class="caution"') < page.index('class="tiles"')
    for part in ("summary", "gain", "early"):
        section = page[page.index(f'id="{part}"') :]
        assert not_saved in section[: section.index("</h2>") + 5000 if part == "gain" else 5000], part
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == len(PICTURES)
    assert all('class="about ' in caption for caption in captions)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_what_lost_and_the_label_mean_and_where_the_rule_is_set(
    figures: Any, pages: dict[str, str], lang: str
) -> None:
    said = " ".join(read(pages[lang]).text)
    assert texts.meaning(figures, Translator(lang, "report")) in said
    assert "--lost-after" in said


@pytest.mark.usefixtures("undrawn")
def test_a_capacity_for_everybody_does_not_boast(replayed: Results) -> None:
    many: Any = metrics(replace(replayed, settings=replayed.settings | {"capacity": 300}))
    for lang in LANGUAGES:
        page = render(many, lang)
        assert "100%" not in headline_of(page)
        assert "--capacity" in headline_of(page)
        assert 'class="tiles"' not in page


@pytest.mark.usefixtures("undrawn")
def test_what_a_call_must_achieve_is_said_with_and_without_its_cost(replayed: Results, figures: Any) -> None:
    translator = Translator("en", "report")
    assert "--contact-cost" in texts.pays(figures, translator)
    with_cost: Any = metrics(replace(replayed, settings=replayed.settings | {"contact_cost": 2.0}))
    worth = with_cost["calls"]["per_call"]["monthly_worth_reached_per_call"]
    said = texts.pays(with_cost, translator)
    assert translator.percent(2.0 / worth, 1) in said
    assert translator.percent(2.0 / worth / 12, 1) in said


@pytest.mark.usefixtures("undrawn")
def test_a_shop_that_ranks_by_risk_is_told_how_calls_are_planned(figures: Any) -> None:
    translator = Translator("en", "report")
    row = figures["calls"]["ladder"][0] | {"from_alerts": True}
    for ratio, rank_by, said in ((0.9, "risk", True), (1.1, "risk", False), (0.9, "worth", False)):
        against = {"worth": {"ratio": ratio, "low": 0.8, "high": 1.2}}
        calls = figures["calls"] | {"ladder": [row | {"against_best_rule": against}]}
        changed = figures | {"calls": calls, "protocol": figures["protocol"] | {"rank_by": rank_by}}
        assert ("--rank-by worth" in texts.against(changed, translator)) == said


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_causes_add_up_to_all_explained_customers(figures: Any, lang: str) -> None:
    table = reasons.reason_table(figures, Translator(lang, "report"))
    shown = [float(str(row[1])) for row in table.rows]
    assert len(shown) > 2
    per_month = figures["reasons"]["explained"] / figures["calls"]["months"]
    assert sum(shown) == pytest.approx(per_month, abs=0.05 * len(shown))
    assert all(len(row) == len(table.head) for row in table.rows)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_measures_that_the_policy_has_stopped_are_named_as_such(figures: Any, lang: str) -> None:
    translator = Translator(lang, "report")
    cause = figures["reasons"]["causes"][0]["cause"]
    changed = figures | {"settings": figures["settings"] | {"stopped_measures": [cause]}}
    measures = [[row[-1] for row in reasons.reason_table(one, translator).rows] for one in (figures, changed)]
    assert measures[1][0] == translator.text("list.stopped") not in measures[0]
    assert measures[1][1:] == measures[0][1:]


def test_a_rule_that_reaches_more_is_recommended(figures: Any) -> None:
    def against(difference: float) -> dict[str, Any]:
        rows = [
            row | {"against_best_rule": {"worth": {"difference": difference}}} for row in figures["calls"]["ladder"]
        ]
        return figures | {"calls": figures["calls"] | {"ladder": rows}}

    translator = Translator("en", "report")
    assert any("follow the rule" in one for one in ladder.comments(against(-0.02), translator))
    assert any("hardly matters" in one for one in ladder.comments(against(0.0), translator))
    said = ladder.comments(against(0.02), translator)
    assert not any("rule" in one for one in said)


def test_the_same_figures_give_the_same_page(
    figures: Any, pages: dict[str, str], drawn: dict[str, Picture | None], tmp_path: Path
) -> None:
    for picture in drawn.values():
        assert picture
        assert picture.wide in pages["en"]
        assert picture.narrow in pages["en"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "pictures", lambda *_: drawn)
        write_report(figures, tmp_path / "report.html", "en", FEATURES)
    assert (tmp_path / "report.html").read_text("utf-8") == pages["en"]


def test_features_are_told_in_the_readers_words_and_escaped(pages: dict[str, str]) -> None:
    assert "days since the &lt;last&gt; order" in pages["en"]
    assert "<last>" not in pages["en"]
    assert "距上次下单的天数" in pages["zh"]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take seconds; a test about words goes without."""
    monkeypatch.setattr(html, "pictures", lambda *_: dict.fromkeys(PICTURES))


def test_what_the_log_names_cannot_become_markup(figures: Any) -> None:
    bad = "<script>alert(1)</script>"
    course = [v | {"weights": {bad: 1.0}} for v in figures["models"]["course"]]
    models = figures["models"] | {
        "course": course,
        "drift": [{"on": "2024-01-01", "what": bad, "before": 1, "after": 2}],
    }
    evil = figures | {
        "experts": {bad: figures["product"]},
        "models": models | {"importances": {bad: 1.0}},
        "log": figures["log"] | {"files": [bad]},
    }
    picture = weight_chart(evil, Translator("en", "report"))
    assert picture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "pictures", lambda *_: dict.fromkeys(PICTURES) | {"weights": picture})
        page = render(evil, "en")
    assert bad not in page
    assert "&lt;script&gt;alert(1)" in picture.wide
    assert read(page).problems == []


# --- the charts -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(figures: Any) -> dict[str, Picture | None]:
    translator = Translator("en", "report")
    return pictures(figures, translator, html.feature_rows(figures, translator, FEATURES))


def test_every_chart_is_drawn_twice_and_described(drawn: dict[str, Picture | None]) -> None:
    assert set(drawn) == set(PICTURES)
    for name, picture in drawn.items():
        assert picture, name
        for svg in (picture.wide, picture.narrow):
            root = ET.fromstring(svg)  # noqa: S314 - we drew it
            assert root.get("role") == "img"
            assert root.get("aria-label") == picture.alt
            assert any(e.get("data-tip") for e in root.iter()), name


def test_every_colour_of_a_chart_has_a_light_and_a_dark_one(drawn: dict[str, Picture | None]) -> None:
    style = (REPORT / "layout" / "style.css").read_text("utf-8")
    for name, picture in drawn.items():
        assert picture
        for kind, colour in re.findall(r'(fill|stroke)="(?!none|transparent|url)([^"]+)"', picture.wide):
            assert f'[{kind}="{colour}"]' in style, f"{name}: {kind} {colour}"


def test_charts_do_not_share_ids(drawn: dict[str, Picture | None]) -> None:
    found = [i for p in drawn.values() if p for i in re.findall(r'\bid="([^"]+)"', p.wide + p.narrow)]
    assert len(found) == len(set(found))


def test_the_capacity_chart_shows_the_figures(figures: Any, drawn: dict[str, Picture | None]) -> None:
    for name, value in (("right", "right"), ("reach", "worth_share")):
        picture = drawn[name]
        assert picture
        for row in figures["calls"]["ladder"]:
            assert f"stream-app: {row['product'][value] * 100:.0f}%" in picture.wide


# --- logs that can show little ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_log_that_shows_nothing_yet_still_gives_a_report(lang: str) -> None:
    young: Any = metrics(results(customers=30, days=50, seed=2))
    page = render(young, lang)
    assert read(page).problems == []
    assert Translator(lang, "report").text("verdict.not_yet") in page
    assert headline_of(page) == texts.headline(young, Translator(lang, "report"))
    assert "0" in headline_of(page)


@pytest.mark.usefixtures("undrawn")
def test_without_amounts_the_report_counts_customers_instead_of_money(replayed: Results) -> None:
    d, (customer, at, amount) = replayed.decisions, replayed.orders
    free = replace(
        replayed,
        decisions=replace(d, money=np.zeros_like(d.money), monthly_worth=np.full_like(d.money, np.nan)),
        orders=(customer, at, np.zeros_like(amount)),
        importances={},
        versions=[],
        alerts=[],
    )
    page = render(metrics(free), "en")
    assert "customers are lost." in headline_of(page)
    assert "Monthly worth" not in page.replace("Monthly worth, everywhere", "")
    assert read(page).problems == []


@pytest.mark.usefixtures("undrawn")
def test_not_yet_says_when(replayed: Results) -> None:
    few: Any = metrics(replace(replayed, log=msgspec.structs.replace(replayed.log, buyers=400)))
    page = render(few, "en")
    assert "Not ready yet" in page
    assert Translator("en", "report").day(few["readiness"]["expected_on"]) in page


# --- the terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_summary_says_headline_verdict_scores_and_place(figures: Any, lang: str) -> None:
    console = Console(width=200, record=True, file=StringIO())
    console.print(summary(figures, lang, Path("out/report.html")))
    text, translator = console.export_text(), Translator(lang, "report")
    assert translator.text("verdict.ready") in text
    assert translator.name("expert", "product") in text
    assert f"{figures['product']['auc']:.3f}" in text
    assert f"{figures['longest_silence_first']['auc']:.3f}" in text
    assert "out/report.html" in text
    assert "out/call-list.xlsx" in text


def test_chinese_lines_do_not_break_words_and_numbers(figures: Any) -> None:
    translator = Translator("zh", "report")
    words = set(translator.text("terminal.words").split()) | {"stream-app", "--contact-cost"}
    for width in range(24, 60):
        console = Console(width=width, record=True, file=StringIO())
        console.print(summary(figures, "zh"))
        prose = console.export_text().split(translator.text("terminal.table", days="60"))[0]
        said = [line.strip() for line in prose.splitlines()]
        assert max(cell_len(line) for line in said) <= width - 4
        for one, after in itertools.pairwise(said):
            joined = one[-8:] + "|" + after[:8]
            broken = [w for w in words for i in range(1, len(w)) if f"{w[:i]}|{w[i:]}" in joined]
            assert not broken, joined
            assert not re.search(r"[\d.,]\|[\d.,%]|\|[，。；：）]", joined), joined


@pytest.mark.parametrize(
    ("lang", "wanted"), [("en", "scores with an order in the 60 days after"), ("zh", "天内又下单")]
)
def test_what_is_not_met_is_said_in_whole_sentences(lang: str, wanted: str) -> None:
    young: Any = metrics(results(customers=30, days=50, seed=2))
    console = Console(width=200, record=True, file=StringIO())
    console.print(summary(young, lang))
    text, translator = console.export_text(), Translator(lang, "report")
    assert f"{translator.text('verdict.not_yet')}{translator.colon}{translator.text('verdict.not_yet_open')}" in text
    assert wanted.replace("60", f"{young['protocol']['horizon_days']:.0f}") in text


def test_the_summary_needs_no_plots() -> None:
    code = "import sys, stream_app.report.terminal; print(*{'altair', 'vl_convert', 'jinja2'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr

"""The dashboards: in step with their pages, complete in both languages, and asking only for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.build import FOLDER, dashboards
from grafana.label_names import label_names
from grafana.page import PAGES, uid
from grafana.preview.answers import panels_of, variables_of
from stream_app.core.alerts.lifecycle import CLOSE_REASONS
from stream_app.core.delivery.records import REASONS
from stream_app.core.kpis.event_counts import CATEGORIES, CHECKOUT_LOSSES, ORDER_KINDS
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.i18n import LANGUAGES, Translator, catalogue
from stream_app.metrics.base import new_registry
from stream_app.metrics.index import SERVICES
from stream_app.metrics.labels import ALERT_OUTCOMES, ATTEMPTS, HOLDS, OUTCOMES, SUPPRESSIONS, VALUES
from tests.conftest import PROJECT

BOARDS: Final = {name: json.loads(text) for name, text in dashboards().items()}
GRAFANA: Final = {"datasource", "__rate_interval", "__range"}  # variables that are always there
# What Prometheus and its client tell by themselves.
GIVEN: Final = {
    "up",
    "ALERTS",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}
register_default_plugins()

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def queries(board: dict[str, Any]) -> Iterator[str]:
    """Every query of panels, variables and marks."""
    for panel in panels_of(board):
        yield from (target["expr"] for target in panel["targets"])
    yield from variables_of(board).values()
    yield from (one["expr"] for one in board["annotations"]["list"])


def metrics_in(query: str) -> set[str]:
    """The names of the series that a query asks for."""
    bare = re.sub(r'"[^"]*"', "", query)
    return set(re.findall(r"\bchurn[_:][\w:]+", bare)) | set(re.findall(r"\b([a-zA-Z_:][\w:]*)\s*\{", bare))


def told() -> set[str]:
    """Every name under which the product tells of itself."""
    found = {"churn_build_info"}
    for kinds in SERVICES.values():
        for kind in kinds:
            for one in kind(new_registry()).described:
                suffixes = ("_bucket", "_count", "_sum") if one.kind == "histogram" else ("",)
                found |= {one.name + suffix for suffix in suffixes}
    return found


def test_the_files_are_those_that_the_pages_make() -> None:
    stored = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.glob("*/*.json")}
    assert stored == dashboards(), "run `make dashboards`"
    assert len(stored) == len(PAGES) * len(LANGUAGES)


@each_board
def test_a_board_is_what_grafana_s_own_types_read(board: dict[str, Any]) -> None:
    again = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    ours = {"step", "titleFormat", "textFormat", "target"}  # of marks: the Prometheus source's, unknown to the SDK
    for before, after in zip(board["annotations"]["list"], again["annotations"]["list"], strict=True):
        assert {key: value for key, value in before.items() if key not in ours} == {
            key: value for key, value in after.items() if key not in ours
        }
    assert {**again, "annotations": None} == {**board, "annotations": None}


@each_board
def test_every_panel_says_what_it_is(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"]
        assert len(panel["description"]) > len(panel["title"])
        assert panel["description"].endswith((".", "。"))
        assert defaults["unit"]
        assert defaults["noValue"]
        assert panel["targets"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@each_board
def test_no_source_is_written_into_a_board(board: dict[str, Any]) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels_of(board):
        assert [one["datasource"] for one in (panel, *panel["targets"])] == [source] * (1 + len(panel["targets"]))
    assert all(one["datasource"] == source for one in board["annotations"]["list"])
    first, *others = board["templating"]["list"]
    assert first["type"] == "datasource"
    assert all(one["datasource"] == source for one in others if one["type"] != "custom")


@each_board
def test_rates_follow_the_range_of_time(board: dict[str, Any]) -> None:
    for query in queries(board):
        assert set(re.findall(r"\[([^]]+)\]", query)) <= {"$__rate_interval", "$__range"}, query


@each_board
def test_every_variable_of_a_query_is_there_and_every_one_is_used(board: dict[str, Any]) -> None:
    own = {one["name"] for one in board["templating"]["list"]}
    used = {name for query in queries(board) for name in re.findall(r"\$\{?(\w+)", query)}
    assert used <= own | GRAFANA
    assert own - {"datasource"} <= used


@each_board
def test_only_what_the_product_tells_is_asked_for(board: dict[str, Any]) -> None:
    asked = {name for query in queries(board) for name in metrics_in(query)}
    assert asked
    assert asked - told() - GIVEN == set()


@each_board
def test_the_panels_fill_the_grid_and_do_not_lie_on_each_other(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for y in {place["y"] for place in places}:
        assert sum(place["w"] for place in places if place["y"] == y) == 24


@each_board
def test_the_links_lead_to_the_other_pages_and_keep_what_was_chosen(board: dict[str, Any]) -> None:
    known = {f"/d/{uid(name, lang)}" for name in PAGES for lang in LANGUAGES}
    links = board["links"]
    assert {link["url"] for link in links} <= known
    assert len(links) == len(PAGES) - 1 + len(LANGUAGES) - 1
    assert all(link["keepTime"] and link["includeVars"] for link in links)
    assert f"/d/{board['uid']}" in known


@each_board
def test_alerts_and_new_versions_are_marked(board: dict[str, Any]) -> None:
    counters = [one["expr"] for one in board["annotations"]["list"]]
    assert [sorted(metrics_in(expr)) for expr in counters] == [["ALERTS"], ["churn_trainer_model_version"]]
    assert all(one["target"]["expr"] == one["expr"] for one in board["annotations"]["list"])


def flat(found: Any, place: str = "") -> dict[str, str]:
    if isinstance(found, str):
        return {place: found}
    return {key: text for name, inner in found.items() for key, text in flat(inner, f"{place}.{name}").items()}


def test_both_languages_say_the_same_things() -> None:
    english, chinese = (flat(catalogue(lang, "dashboards")) for lang in ("en", "zh"))
    assert english.keys() == chinese.keys()
    foreign = {text for text in chinese.values() if not re.search(r"[\u4e00-\u9fff]", text)}
    assert foreign <= {"AUC", "p50", "p95", "p99", "stream-app"}
    assert [text for text in english.values() if re.search(r"[\u4e00-\u9fff]", text)] == []


@pytest.mark.parametrize(
    ("of", "values"),
    [
        ("bands", BANDS),
        ("stages", STAGES),
        ("kinds", ORDER_KINDS),
        ("causes", VALUES["cause"]),
        ("categories", CATEGORIES),
        ("scorers", VALUES["scorer"]),
        ("outcomes", OUTCOMES),
        ("holds", HOLDS),
        ("checkout", CHECKOUT_LOSSES),
        ("closings", CLOSE_REASONS),
        ("suppressions", SUPPRESSIONS),
        ("held_back", REASONS),
        ("attempts", ATTEMPTS),
        ("staff_outcomes", ALERT_OUTCOMES),
        ("segments", VALUES["segment"]),
        ("sides", VALUES["side"]),
    ],
)
def test_every_value_of_a_label_has_a_name(of: str, values: tuple[str, ...]) -> None:
    for lang in LANGUAGES:
        assert label_names(Translator(lang, "dashboards"), of).keys() == set(values)


@each_board
def test_a_choice_of_names_offers_every_value_by_its_name(board: dict[str, Any]) -> None:
    """As Grafana reads such a list: entries end with a comma that is not escaped, names with a colon."""
    (lang,) = set(board["tags"]) & set(LANGUAGES)
    for one in board["templating"]["list"]:
        if one["type"] == "custom":
            entries = [entry.strip().split(" : ") for entry in re.split(r"(?<!\\),", one["query"])]
            offered = {value: name.replace("\\,", ",") for name, value in entries}
            assert offered == label_names(Translator(lang, "dashboards"), f"{one['name']}s")
            assert {option["value"]: option["text"] for option in one["options"]} == offered


@pytest.mark.parametrize("lang", LANGUAGES)
def test_causes_and_segments_have_the_same_names_as_in_the_alerts(lang: str) -> None:
    translator = Translator(lang, "dashboards")
    causes, segments = (label_names(translator, of) for of in ("causes", "segments"))
    assert all(causes[key] == translator.cause(key) for key in VALUES["cause"] if key != "unknown")
    assert all(segments[key] == translator.segment(key) for key in SEGMENTS)


@pytest.mark.parametrize("name", ["datasources/prometheus.yml", "dashboards/stream-app.yml"])
def test_grafana_is_provisioned_with_what_is_there(name: str) -> None:
    provided = yaml.safe_load((PROJECT / "grafana" / "provisioning" / name).read_text(encoding="utf-8"))
    assert provided["apiVersion"] == 1
    for source in provided.get("datasources", []):
        assert (source["type"], source["uid"]) == ("prometheus", "prometheus")
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    there = [f"{mounted['./grafana/dashboards']}/{lang}" for lang in LANGUAGES]
    assert [one["options"]["path"] for one in provided.get("providers", [])] in ([], there)

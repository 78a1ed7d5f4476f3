"""The recipes of docs/extending.md: the files that they name exist, and a missing place of an entry is named."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream_app.cli.commands import COMMANDS, imported
from stream_app.core.alerts.lifecycle import QUOTA
from stream_app.core.causes.catalogue import CAUSES
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.expert_spec import BUILT_IN
from stream_app.core.model.features import FEATURES
from stream_app.core.partition.call_rules import RULES
from stream_app.core.policy.policy import Policy
from stream_app.mapping.files import shipped_mappings
from stream_app.metrics.index import SERVICES
from stream_app.notifications.channels.registry import KINDS
from stream_app.replay.evaluation import support

PROJECT = Path(__file__).parents[3]
DOCS = PROJECT / "docs"
HAN = re.compile(r"[\u4e00-\u9fff]")
RECIPES = [
    "A cause",
    "A channel",
    "An event field",
    "A feature",
    "An expert",
    "A mapping",
    "A metric",
    "A figure of the report",
    "A dashboard panel",
    "A rule of the policy",
    "A command",
]
Places = dict[str, bool]  # place -> whether the entry is there


@cache
def text(path: str) -> str:
    return (PROJECT / path).read_text(encoding="utf-8")


@cache
def toml(path: str) -> dict[str, Any]:
    return tomllib.loads(text(path))


def lacking(places: Places) -> list[str]:
    return [place for place, there in places.items() if not there]


def in_toml(path: str, *section: str) -> Callable[[str], Places]:
    """Whether both languages of a pair of files have a key; `path` with LANG for en and zh."""

    def look(key: str) -> Places:
        found = {}
        for lang in ("en", "zh"):
            here: Any = toml(path.replace("LANG", lang))
            for name in section:
                here = here[name]
            found[f"{path.replace('LANG', lang)} [{'.'.join(section)}]"] = key in here
        return found

    return look


def on_pages(*pages: str) -> Callable[[str], Places]:
    return lambda key: {page: f"`{key}`" in text(page) for page in pages}


def both(page: str) -> tuple[str, str]:
    return f"{page}.md", f"{page}.zh.md"


def places_of_a_cause(cause: str) -> Places:
    measures = yaml.safe_load(text("stream_app/notifications/playbook/playbook.yaml"))["causes"]
    return {
        "stream_app/core/causes/evidence_rules.py": any(cause in rule.likelihoods for rule in EVIDENCE_RULES),
        **in_toml("stream_app/i18n/locales/LANG/explanations.toml", "causes")(cause),
        "stream_app/notifications/playbook/playbook.yaml": "default" in measures.get(cause, {}),
        "stream_app/replay/evaluation/support.py": cause in support.FIELD_GROUPS,
        "grafana/dashboards/en/causes.json (make dashboards)": cause in text("grafana/dashboards/en/causes.json"),
        "grafana/dashboards/zh/causes.json (make dashboards)": cause in text("grafana/dashboards/zh/causes.json"),
        **on_pages(*both("docs/reference/causes"), *both("docs/reference/playbook"))(cause),
    }


def places_of_a_channel(kind: str) -> Places:
    modules = {path.stem.removesuffix("_channel") for path in PROJECT.glob("stream_app/notifications/channels/*.py")}
    return {
        "stream_app/notifications/channels/": kind in modules,
        "stream_app/notifications/channels/registry.py": kind in KINDS,
        **on_pages(*both("docs/reference/delivery"))(kind),
        **{page: kind in text(page) for page in both("docs/how-to/chat-channels")},
    }


def places_of_a_feature(name: str) -> Places:
    meant = [one for one in FEATURES if one.name == name]
    return {
        "stream_app/core/model/features.py, in English": any(not HAN.search(one.meaning) for one in meant),
        "stream_app/core/model/features.py, in Chinese": any(HAN.search(one.meaning_zh) for one in meant),
        **on_pages(*both("docs/reference/features"))(name),
    }


def places_of_an_expert(name: str) -> Places:
    return {
        "stream_app/core/expert_spec.py": name in BUILT_IN,
        "tests/contract/test_experts.py": f'"{name}"' in text("tests/contract/test_experts.py"),
        **in_toml("stream_app/i18n/locales/LANG/dashboards.toml", "names", "scorers")(name),
        **in_toml("stream_app/i18n/locales/LANG/report.toml", "expert")(name),
    }


def places_of_a_mapping(name: str) -> Places:
    samples = [path.name for path in (PROJECT / "tests" / "data" / "samples").iterdir()]
    return {
        "tests/data/samples/": any(sample.startswith(name) for sample in samples),
        "tests/unit/ingest/test_samples.py": f'"{name}"' in text("tests/unit/ingest/test_samples.py"),
        "docs/reference/mappings.md": f"| `{name}` |" in text("docs/reference/mappings.md"),
        **{page: name in text(page) for page in both("docs/how-to/own-log")},
    }


def places_of_a_command(path: str) -> Places:
    group, _, last = path.rpartition(" ")
    found = {}
    for page in both("docs/reference/commands"):
        rows = [row for row in text(page).split("\n") if re.match(rf"\| `{group or last}[` ]", row)]
        found[page] = any(f"`{last}`" in row or f"`{path}" in row for row in rows)
    return found


def commands() -> list[str]:
    """Every command as it is typed, without the name of the program."""

    def below(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", None)
        return [found for name in inner for found in below(inner[name], f"{path} {name}")] if inner else [path]

    return [path for name in COMMANDS for path in below(imported(name), name)]


ENTRIES = [
    *((places_of_a_cause, cause) for cause in CAUSES),
    *((places_of_a_channel, kind) for kind in KINDS),
    *((places_of_a_feature, feature.name) for feature in FEATURES),
    *((places_of_an_expert, name) for name in BUILT_IN),
    *((places_of_a_mapping, name) for name in shipped_mappings()),
    *((places_of_a_command, path) for path in commands()),
]


@pytest.mark.parametrize(
    ("places", "entry"), ENTRIES, ids=lambda one: one if isinstance(one, str) else one.__name__.split("_")[-1]
)
def test_an_entry_is_in_every_place_of_its_recipe(places: Callable[[str], Places], entry: str) -> None:
    assert lacking(places(entry)) == []


@pytest.mark.parametrize(
    "places",
    [
        places_of_a_cause,
        places_of_a_channel,
        places_of_a_feature,
        places_of_an_expert,
        places_of_a_mapping,
        places_of_a_command,
    ],
)
def test_an_entry_that_is_nowhere_lacks_every_place(places: Callable[[str], Places]) -> None:
    assert lacking(places("something_new")) == list(places("something_new"))


@pytest.mark.parametrize("places", [places_of_a_cause, places_of_a_channel, places_of_an_expert, places_of_a_mapping])
def test_the_recipe_names_every_place(places: Callable[[str], Places]) -> None:
    recipe = sections()[f"A{'n' if places is places_of_an_expert else ''} {places.__name__.split('_')[-1]}"]
    made = re.compile(r"make dashboards|reference/(causes|playbook)")  # not written by hand
    by_hand = [place.partition(" ")[0] for place in places("") if not made.search(place)]
    assert [place for place in by_hand if f"`{place}`" not in recipe] == []


def test_every_metric_has_a_row_in_both_languages() -> None:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415 - for this test alone

    names = {one.name for kinds in SERVICES.values() for kind in kinds for one in kind(CollectorRegistry()).described}
    for page in both("docs/reference/metrics"):
        assert [name for name in sorted(names) if f"| `{name}` |" not in text(page)] == []


def test_every_rule_of_the_policy_has_its_words() -> None:
    for reason in (*RULES, QUOTA):
        places = {
            **in_toml("stream_app/i18n/locales/LANG/report.toml", "trial")(f"excluded_{reason}"),
            **in_toml("stream_app/i18n/locales/LANG/dashboards.toml", "names", "suppressions")(reason),
            **on_pages(*both("docs/how-to/policy"))(reason),
        }
        assert lacking(places) == [], reason
    for section in Policy.__struct_fields__:
        for field in getattr(getattr(Policy(), section), "__struct_fields__", ()):
            for page in both("docs/how-to/policy"):
                assert f"`{section}.{field}`" in text(page) or f"`{field}`" in text(page) or section == "holdout", field


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text("docs/extending.md"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_there_is_a_recipe_for_everything() -> None:
    assert list(sections()) == RECIPES


def test_every_file_of_a_recipe_exists() -> None:
    named = re.findall(r"`((?:stream_app|tests|docs|grafana|benchmarks)/[\w./-]*)`", text("docs/extending.md"))
    assert len(named) > 60
    assert [name for name in sorted(set(named)) if not (PROJECT / name).exists()] == []

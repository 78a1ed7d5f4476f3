"""Catalogues: both languages have the same texts with the same placeholders, and names for everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import stream_app.i18n
from stream_app.core.alerts.sla import LOW_REVIEW, UNANSWERED, UNSOLVED
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.kpis.risk_bands import BANDS
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.segments.lifecycle_stage import STAGES
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.i18n import LANGUAGES, Translator, catalogue
from tests.conftest import PROJECT
from tests.harness.shops import T0, order

HAN = re.compile(r"[\u4e00-\u9fff]")
LOCALES = PROJECT / "stream_app" / "i18n" / "locales"
DOMAINS = sorted(path.stem for path in (LOCALES / "en").glob("*.toml"))
# Texts that are the same in Chinese: technical terms, and texts that consist of placeholders and punctuation.
SAME_IN_CHINESE = re.compile(r"[A-Za-z\- 0-9]*|[–：，、。%0-9]*|English|[{}a-z¦ ·（），%]*|zh-Hans|stream-app · .*")

# Second Chinese words for a term of docs/glossary.zh.md. ADRs are 决策记录, a model may
# be a 决策树, and orders of the shop's own 员工 do not count.
NOT_IN_THE_GLOSSARY = re.compile(
    r"工作服务|训练服务|名额分配|通知服务|时钟点|时钟记录|观察期|(?<!刷单、)员工|决策(?!树|记录)"
)
CHINESE = [
    *(LOCALES / "zh").glob("*.toml"),
    *(PROJECT / "docs").rglob("*.zh.md"),
    *(PROJECT / "docs" / "templates").iterdir(),
    *(PROJECT / "docs" / "images").glob("*-zh.svg"),
    *(PROJECT / "grafana" / "dashboards" / "zh").iterdir(),
    *(PROJECT / "prometheus" / "rules").iterdir(),
    *(PROJECT / "stream_app").rglob("*.py"),
    PROJECT / "docs" / "generate.py",
    PROJECT / "README.zh.md",
    PROJECT / "mkdocs.yml",
]


def texts_of(found: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(found, str):
        yield key, found
        return
    for name, inner in found.items():
        yield from texts_of(inner, f"{key}.{name}".lstrip("."))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def numbers_of(sign: str) -> dict[str, float]:
    """Return the numbers of an evidence rule for an ordinary customer."""
    if sign in (UNANSWERED, UNSOLVED):
        return {"hours": 24.0}
    if sign == LOW_REVIEW:
        return {}
    partition = PartitionProcessor(Settings())
    partition.apply(order("ann", T0), T0)
    about = partition.explainer.profile(partition.customers["ann"], T0 + 9 * DAY_US)
    return next(one for one in EVIDENCE_RULES if one.key == sign).measure(about)


def test_every_language_has_the_same_catalogues() -> None:
    assert sorted(path.name for path in LOCALES.iterdir()) == sorted(LANGUAGES)
    for lang in LANGUAGES:
        assert sorted(path.stem for path in (LOCALES / lang).iterdir()) == DOMAINS


@pytest.mark.parametrize("domain", DOMAINS)
def test_both_languages_have_the_same_keys_and_placeholders(domain: str) -> None:
    english, chinese = (dict(texts_of(catalogue(lang, domain))) for lang in LANGUAGES)
    assert english.keys() == chinese.keys()
    assert [key for key in english if placeholders(english[key]) != placeholders(chinese[key])] == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_text_is_in_its_language(domain: str) -> None:
    own_name = {"receiver.other", "language.name"}  # names of the languages
    english, chinese = (dict(texts_of(catalogue(lang, domain))) for lang in LANGUAGES)
    assert [key for key, text in english.items() if HAN.search(text) and key not in own_name] == []
    assert [key for key, text in chinese.items() if not (HAN.search(text) or SAME_IN_CHINESE.fullmatch(text))] == []
    assert [key for key, text in chinese.items() if text.startswith("的")] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_everything_has_one_name_and_nothing_else_has(lang: str) -> None:
    words = catalogue(lang, "explanations")
    assert words["causes"].keys() == {*CAUSES, FAMILY}
    assert words["segments"].keys() == set(SEGMENTS)
    assert words["stages"].keys() == set(STAGES)
    assert words["risk_bands"].keys() == set(BANDS)
    urgent = (LOW_REVIEW, UNANSWERED, UNSOLVED)
    assert words["evidence"].keys() == {
        *(rule.key for rule in EVIDENCE_RULES),
        *urgent,
        "silence_short",
        "silence_long",
        "silence_today",
    }
    for group in ("causes", "segments", "stages", "risk_bands"):
        assert len(set(words[group].values())) == len(words[group])
    for key in words["stages"].keys() & words["segments"].keys():
        assert words["stages"][key] == words["segments"][key]


@pytest.mark.parametrize("domain", [one for one in DOMAINS if one != "explanations"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_other_catalogue_names_a_cause_a_segment_or_a_risk_band(lang: str, domain: str) -> None:
    """The keys of causes may be those of topics, categories of complaints or pages, but never of a second name."""
    named = {**catalogue(lang, "explanations")["causes"], **catalogue(lang, "explanations")["segments"]}
    for group, texts in catalogue(lang, domain).items():
        assert not isinstance(texts, dict) or texts.keys() & named.keys() != named.keys(), group


def test_a_fraction_of_the_usual_gap_is_not_told_as_a_reason() -> None:
    short, long = {"days": 3.0, "times": 0.1}, {"days": 90.0, "times": 3.0}
    assert Translator("en").evidence("silence", short) == "no order for 3 days, the usual gap is not over yet"
    assert Translator("zh").evidence("silence", short) == "已 3 天未下单，尚未超过平时的下单间隔"
    assert Translator("en").evidence("silence", long) == "no order for 90 days, 3.0 × the usual gap"


def test_a_silence_of_many_gaps_has_no_number() -> None:
    rare = {"days": 98.0, "times": 104.6}
    assert Translator("en").evidence("silence", rare) == "no order for 98 days, more than 10 × the usual gap"
    assert Translator("zh").evidence("silence", rare) == "已 98 天未下单，超过平时下单间隔的 10 倍"


def test_a_purchase_of_today_is_not_zero_days_ago() -> None:
    assert Translator("en").evidence("silence_once", {"days": 0.4}) == "one purchase, today"
    assert Translator("zh").evidence("silence_once", {"days": 0.4}) == "只买过一次，就在今天"
    assert Translator("en").evidence("silence_once", {"days": 0.6}) == "one purchase, 1 day ago"


@pytest.mark.parametrize("sign", [*(rule.key for rule in EVIDENCE_RULES), LOW_REVIEW, UNANSWERED, UNSOLVED])
def test_evidence_uses_only_numbers_of_its_rule(sign: str) -> None:
    for lang in LANGUAGES:
        assert placeholders(catalogue(lang, "explanations")["evidence"][sign]) <= set(numbers_of(sign))
        text = Translator(lang).evidence(sign, numbers_of(sign))
        assert text
        assert "{" not in text
        assert bool(HAN.search(text)) == (lang == "zh")


@pytest.mark.parametrize("path", CHINESE, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_term_has_one_chinese_word(path: Path) -> None:
    assert NOT_IN_THE_GLOSSARY.findall(path.read_text(encoding="utf-8")) == []


def test_unknown_keys_are_shown_in_readable_form() -> None:
    assert {Translator(lang).evidence("new_sign", {"days": 3.5}) for lang in LANGUAGES} == {"new sign (days 3.5)"}
    assert Translator("zh").cause("new_cause") == "new cause"


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="en, zh"):
        Translator("fr")


def test_the_catalogues_are_part_of_the_package() -> None:
    assert LOCALES.parent == type(PROJECT)(stream_app.i18n.__file__).parent

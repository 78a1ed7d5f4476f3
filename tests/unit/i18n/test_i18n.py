"""What is said of causes, segments and signs: both languages have words for all of it, with its numbers."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from stream_app.core.alerts.sla import UNANSWERED, UNSOLVED
from stream_app.core.causes.catalogue import CAUSES, FAMILY
from stream_app.core.causes.evidence_rules import EVIDENCE_RULES
from stream_app.core.causes.explanation import Evidence
from stream_app.core.partition.processor import PartitionProcessor
from stream_app.core.segments.segments import SEGMENTS
from stream_app.core.settings import Settings
from stream_app.core.units import DAY_US
from stream_app.i18n import LANGUAGES, cause_name, evidence_text, segment_name
from stream_app.i18n.explanations import catalogue
from tests.harness.shops import T0, order

HAN = re.compile(r"[\u4e00-\u9fff]")


def numbers_of(sign: str) -> dict[str, float]:
    """The numbers that a sign tells, of a customer like any other."""
    if sign in (UNANSWERED, UNSOLVED):
        return {"hours": 24.0}
    partition = PartitionProcessor(Settings())
    partition.apply(order("ann", T0), T0)
    about = partition.explainer.profile(partition.customers["ann"], T0 + 9 * DAY_US)
    return next(one for one in EVIDENCE_RULES if one.key == sign).measure(about)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_language_has_words_for_everything_and_for_nothing_else(lang: str) -> None:
    words = catalogue(lang)
    assert words.keys() == {"causes", "segments", "signs"}
    assert words["causes"].keys() == {*CAUSES, FAMILY}
    assert words["segments"].keys() == set(SEGMENTS)
    assert words["signs"].keys() == {*(sign.key for sign in EVIDENCE_RULES), UNANSWERED, UNSOLVED}


@pytest.mark.parametrize("sign", [*(sign.key for sign in EVIDENCE_RULES), UNANSWERED, UNSOLVED])
def test_both_languages_say_the_same_numbers_and_only_those_that_are_told(sign: str) -> None:
    named = [
        {name for _, name, _, _ in Formatter().parse(catalogue(lang)["signs"][sign]) if name} for lang in LANGUAGES
    ]
    assert named[0] == named[1] <= set(numbers_of(sign))
    for lang in LANGUAGES:
        text = evidence_text(Evidence(sign, numbers_of(sign)), lang)
        assert text
        assert "{" not in text
        assert bool(HAN.search(text)) == (lang == "zh")


def test_names_are_in_their_language() -> None:
    for name, keys in ((cause_name, CAUSES), (segment_name, SEGMENTS)):
        assert all(HAN.search(name(key, "zh")) and not HAN.search(name(key, "en")) for key in keys)


def test_what_is_unknown_is_said_as_it_is_called() -> None:
    told = Evidence("new_sign", {"days": 3.5})
    assert evidence_text(told, "en") == evidence_text(told, "zh") == "new sign (days 3.5)"


def test_a_language_that_we_lack_is_refused() -> None:
    with pytest.raises(ValueError, match="en, zh"):
        cause_name("price", "fr")

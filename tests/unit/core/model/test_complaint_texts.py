"""Complaint texts that staff re-file: what is learned, and what stays as the lexicon has it."""

from __future__ import annotations

import pytest

from stream_app.adapters.complaint_text import complaint_reader
from stream_app.core.model.complaint_texts import ComplaintTexts
from stream_app.core.state.complaint_kinds import BUCKETS, OTHER
from stream_app.core.state.counters import COMPLAINED
from tests.unit.adapters.test_complaint_text import TEXTS

KINDS = (*COMPLAINED, OTHER)
READ = complaint_reader().read
SILENT = "插上电以后完全没有声音"  # no word of the lexicon


@pytest.fixture
def texts() -> ComplaintTexts:
    return ComplaintTexts(KINDS)


@pytest.mark.parametrize("learned", [0, 1])
def test_the_lexicon_decides_until_staff_know_better(texts: ComplaintTexts, learned: int) -> None:
    for _ in range(learned):
        texts.learn(READ(SILENT), "quality")
    for kind, examples in TEXTS.items():
        for text in examples:
            assert texts.kind(READ(text)) == kind


def test_what_the_lexicon_does_not_know_is_learned(texts: ComplaintTexts) -> None:
    assert texts.kind(READ(SILENT)) == OTHER
    for number in range(5):
        texts.learn(READ(f"{SILENT}，试了 {number} 次"), "quality")
    assert texts.kind(READ("收到以后没有声音")) == "quality"
    assert texts.kind(READ("谢谢")) == OTHER


def test_what_the_lexicon_gets_wrong_is_corrected(texts: ComplaintTexts) -> None:
    text = "手机号码按键不灵"  # the lexicon reads a phone number, hence privacy
    assert texts.kind(READ(text)) == "privacy"
    for _ in range(10):
        texts.learn(READ(text), "quality")
    assert texts.kind(READ(text)) == "quality"
    assert texts.kind(READ("你们泄露了我的手机号")) == "privacy"


def test_probabilities_sum_to_one(texts: ComplaintTexts) -> None:
    shares = texts.probabilities(READ("物流太慢"))
    assert set(shares) == set(KINDS)
    assert sum(shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("text", ["", "，。", "\ud800", "a" * 1_000_000, "慢" * 10_000])
def test_any_text_can_be_read_and_learned(texts: ComplaintTexts, text: str) -> None:
    reading = READ(text)
    assert all(0 <= bucket < BUCKETS for bucket in reading.buckets)
    assert list(reading.buckets) == sorted(set(reading.buckets))
    texts.learn(reading, "stock")
    assert texts.kind(reading) in KINDS


def test_pairs_of_words_do_not_cross_punctuation() -> None:
    assert READ("好，慢").buckets != READ("好慢").buckets
    assert len(READ("好，慢").buckets) == 2
    assert len(READ("好慢").buckets) == 3

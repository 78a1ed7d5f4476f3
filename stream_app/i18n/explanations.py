"""Says an explanation in a language, with its numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final, Protocol

LANGUAGES: Final = ("en", "zh")


class Told(Protocol):
    """A sign with its numbers; core.explanation.Evidence is one."""

    @property
    def rule(self) -> str:
        """Its key."""
        ...

    @property
    def numbers(self) -> Mapping[str, float]:
        """What its words name: days, counts, shares of 1."""
        ...


@cache
def catalogue(lang: str) -> dict[str, dict[str, str]]:
    """All words of a language: `causes`, `segments` and `signs` by key. ValueError for a language that we lack."""
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r} is unknown: give one of {', '.join(LANGUAGES)}")
    return tomllib.loads(resources.files("stream_app.i18n").joinpath(f"{lang}.toml").read_text(encoding="utf-8"))


def cause_name(key: str, lang: str) -> str:
    """The name of a cause; of an unknown one the key itself, made readable.

    >>> cause_name("forgot_shop", "en"), cause_name("forgot_shop", "zh"), cause_name("new_cause", "en")
    ('forgot the shop', '忘记店铺', 'new cause')
    """
    return _name("causes", key, lang)


def segment_name(key: str, lang: str) -> str:
    """The name of a segment.

    >>> segment_name("one_time", "en"), segment_name("one_time", "zh")
    ('one-time buyer', '一次性买家')
    """
    return _name("segments", key, lang)


def evidence_text(evidence: Told, lang: str) -> str:
    """A sign in words with its numbers; of an unknown one the key, made readable, and its numbers.

    >>> from types import SimpleNamespace as Sign
    >>> open_ = Sign(rule="open_complaint", numbers={"complaints": 2.0, "open": 1.0, "days": 6.2})
    >>> evidence_text(open_, "en"), evidence_text(open_, "zh")
    ('2 complaints, 1 of them open for 6 days', '投诉 2 次，其中 1 次已 6 天未解决')
    >>> evidence_text(Sign(rule="silence", numbers={"days": 41.0, "times": 2.31}), "en")
    'silent for 2.3 × their usual gap (41 days)'
    """
    words = catalogue(lang)["signs"].get(evidence.rule)
    if words is None:
        numbers = ", ".join(f"{name} {value:g}" for name, value in evidence.numbers.items())
        return f"{evidence.rule.replace('_', ' ')}{f' ({numbers})' if numbers else ''}"
    return words.format(**{name: Number(value) for name, value in evidence.numbers.items()})


class Number(float):
    """A number in a sentence. Formats beside those of a float: `n`, a whole number, and `n:day|days` with its noun.

    >>> f"{Number(1.2):n day|days}", f"{Number(3.0):n}", f"{Number(0.5):.0%}"
    ('1 day', '3', '50%')
    """

    def __format__(self, how: str) -> str:
        kind, _, noun = how.partition(" ")
        if kind != "n":
            return super().__format__(how)
        one, _, many = noun.partition("|")
        whole = f"{round(self):,}"
        return f"{whole} {one if round(self) == 1 else many}" if noun else whole


def _name(part: str, key: str, lang: str) -> str:
    return catalogue(lang)[part].get(key, key.replace("_", " "))

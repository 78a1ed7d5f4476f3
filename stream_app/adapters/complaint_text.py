"""Classifier of complaint texts in Chinese and English, based on a lexicon.

jieba segments Chinese with the lexicon's words as its only dictionary. Its default dictionary would take seconds to
load and hundreds of megabytes in every worker, and words outside the lexicon carry no information. Services and
replay use the same classifier and therefore agree.
"""

from __future__ import annotations

import io
import math
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import jieba

from stream_app.core.state.complaint_kinds import OTHER

MAX_CHARS: Final = 2_000  # number of characters read; the beginning of a text is enough to classify it
_NOTHING: Final = "nothing"
_LATIN: Final = re.compile("[a-z]")
_FREQUENCY: Final = 100.0  # a word's frequency is this to the power of its length, so the longest match wins


class ComplaintReader:
    """Classifies complaint texts; implements core.state.complaint_kinds.Classifier.

    Args:
        lexicon: words of each kind by language, `zh` and `en`.

    >>> read = complaint_reader()
    >>> read("快递太慢了，等了十天"), read("The staff was rude to me"), read("很满意")
    ('logistics', 'service', 'other')
    """

    def __init__(self, lexicon: dict[str, dict[str, list[str]]]) -> None:
        self._kinds = [kind for kind in lexicon if kind != _NOTHING]
        self._chinese = {word: kind for kind, words in lexicon.items() for word in words["zh"]}
        # The tokenizer has the words of the lexicon only, and reads no dictionary file.
        self._tokenizer = jieba.Tokenizer()
        lines = "".join(f"{word} {math.ceil(_FREQUENCY ** len(word))}\n" for word in self._chinese)
        self._tokenizer.FREQ, self._tokenizer.total = self._tokenizer.gen_pfdict(io.BytesIO(lines.encode()))
        self._tokenizer.initialized = True
        self._english = {kind: _pattern(words["en"]) for kind, words in lexicon.items()}

    def __call__(self, text: str) -> str:
        """Return the kind of complaint, or OTHER if the text contains no word of the lexicon."""
        text = text[:MAX_CHARS].lower()
        found = dict.fromkeys(self._kinds, 0)
        for word in set(self._tokenizer.cut(text, HMM=False)):
            kind = self._chinese.get(word, _NOTHING)
            if kind != _NOTHING:
                found[kind] += 1
        if _LATIN.search(text):
            english = self._english[_NOTHING].sub(" ", text)
            for kind in self._kinds:
                found[kind] += len(set(self._english[kind].findall(english)))
        best = max(self._kinds, key=found.__getitem__)
        return best if found[best] else OTHER


@cache
def complaint_reader() -> ComplaintReader:
    """Return the classifier with the built-in lexicon, created on first use."""
    text = resources.files("stream_app.adapters").joinpath("complaint_lexicon.toml").read_text(encoding="utf-8")
    return ComplaintReader(tomllib.loads(text))


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches each of these words or phrases as a whole word."""
    parts = (re.escape(word).replace(r"\*", r"\w*") for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"\b(?:{'|'.join(parts)})(?!\w)")

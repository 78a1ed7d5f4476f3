"""Reader of complaint texts in Chinese and English, based on a lexicon.

jieba segments Chinese with the lexicon's words as its only dictionary. Its default dictionary would take seconds to
load and hundreds of megabytes in every worker. Words outside the lexicon carry no information for the lexicon's own
answer; for the model that learns from staff (`core/model/complaint_texts.py`), pairs of adjacent characters replace
them. Services and replay use the same reader and therefore agree.
"""

from __future__ import annotations

import io
import math
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final

import jieba
import xxhash

from stream_app.core.state.complaint_kinds import BUCKETS, OTHER, TextReading

MAX_CHARS: Final = 2_000  # number of characters read; the beginning of a text is enough to classify it
_NOTHING: Final = "nothing"
_LATIN: Final = re.compile("[a-z]")
_CLAUSE: Final = re.compile(r"[\w ]+")  # pairs of words do not cross punctuation
_FREQUENCY: Final = 100.0  # a word's frequency is this to the power of its length, so the longest match wins


class ComplaintReader:
    """Classifies complaint texts; implements core.state.complaint_kinds.TextReader.

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

    def read(self, text: str) -> TextReading:
        """Return the kind by the lexicon, and the words of the text as hashes.

        >>> reading = complaint_reader().read("快递太慢了")
        >>> reading.kind, len(reading.buckets)  # 快递, 太, 慢, 了, and three pairs
        ('logistics', 7)
        """
        found: set[str] = set()
        for clause in _CLAUSE.findall(text[:MAX_CHARS].lower()):
            words = [word for word in self._tokenizer.cut(clause, HMM=False) if word.strip()]
            found.update(words, map(" ".join, pairwise(words)))
        return TextReading(self(text), sorted({_bucket(word) for word in found}))


@cache
def complaint_reader() -> ComplaintReader:
    """Return the classifier with the built-in lexicon, created on first use."""
    text = resources.files("stream_app.adapters").joinpath("complaint_lexicon.toml").read_text(encoding="utf-8")
    return ComplaintReader(tomllib.loads(text))


def _bucket(word: str) -> int:
    return xxhash.xxh32_intdigest(word.encode("utf-8", "surrogatepass")) % BUCKETS


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches each of these words or phrases as a whole word."""
    parts = (re.escape(word).replace(r"\*", r"\w*") for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"\b(?:{'|'.join(parts)})(?!\w)")

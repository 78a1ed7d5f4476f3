"""Classifier of complaint texts that learns from the texts that staff re-file under another kind.

It extends the lexicon (`adapters/complaint_text.py`), whose answer is one of its inputs. Before the first text is
learned, the lexicon decides alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from river.linear_model import LogisticRegression
from river.multiclass import OneVsRestClassifier
from river.optim import AdaGrad

from stream_app.core.state.complaint_kinds import TextReading

LEARNING_RATE: Final = 0.5
PRIOR_ROUNDS: Final = 10  # how often the answers of the lexicon are learned as examples before the first text


class ComplaintTexts:
    """One logistic regression per kind, over hashed words (at most `BUCKETS`) and the answer of the lexicon.

    The examples are learned once, in their order, with AdaGrad (Duchi, Hazan and Singer, "Adaptive subgradient methods
    for online learning and stochastic optimization", JMLR 2011).

    Args:
        kinds: all kinds, including the one for texts without a subject.

    >>> texts = ComplaintTexts(["quality", "logistics", "other"])
    >>> unknown, similar = TextReading("other", [7, 9]), TextReading("other", [7, 11])
    >>> texts.kind(unknown)
    'other'
    >>> for _ in range(5):
    ...     texts.learn(unknown, "quality")
    >>> texts.kind(similar), texts.kind(TextReading("logistics", [12])), texts.learned
    ('quality', 'logistics', 5)
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self.learned = 0  # number of texts learned so far
        self._model = OneVsRestClassifier(LogisticRegression(optimizer=AdaGrad(LEARNING_RATE)))
        for _ in range(PRIOR_ROUNDS):
            for kind in kinds:
                self._model.learn_one({kind: 1.0}, kind)

    def learn(self, reading: TextReading, kind: str) -> None:
        """Learn that a text is about a kind, which must be one of the given kinds."""
        self._model.learn_one(_inputs(reading), kind)
        self.learned += 1

    def probabilities(self, reading: TextReading) -> dict[str, float]:
        """Return the probability of each kind; they sum to 1."""
        return cast("dict[str, float]", self._model.predict_proba_one(_inputs(reading)))

    def kind(self, reading: TextReading) -> str:
        """Return the most likely kind."""
        if not self.learned:
            return reading.kind
        shares = self.probabilities(reading)
        return max(shares, key=shares.__getitem__)


def _inputs(reading: TextReading) -> dict[str | int, float]:
    """Return the inputs of a text. Long and short texts have the same weight."""
    weight = max(len(reading.buckets), 1) ** -0.5
    return {reading.kind: 1.0, **dict.fromkeys(reading.buckets, weight)}

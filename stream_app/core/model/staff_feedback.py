"""What the model has learned from staff: confirmed causes of churn, and kinds of complaint texts."""

from __future__ import annotations

from typing import Final

from stream_app.core.causes.catalogue import ONE_TIME, REPEAT
from stream_app.core.causes.feedback import Feedback
from stream_app.core.causes.learning import LearnedCauses
from stream_app.core.model.complaint_texts import ComplaintTexts
from stream_app.core.model.evaluation_metrics import wilson
from stream_app.core.state.complaint_kinds import OTHER, TextReading
from stream_app.core.state.counters import COMPLAINED

_KINDS: Final = (*COMPLAINED, OTHER)
_PROBE: Final = range(64)  # hashes of words whose probabilities identify a model


class StaffFeedback:
    """Learns from the feedback of staff. Part of a shop's churn model, so that its versions apply to it as well.

    >>> learned = StaffFeedback()
    >>> learned.causes.total, learned.texts is None
    (0, True)
    """

    def __init__(self) -> None:
        self.causes = LearnedCauses()
        self.texts: ComplaintTexts | None = None  # until the first text is filed

    def learn(self, feedback: Feedback) -> None:
        """Learn in an order that does not depend on partitions."""
        confirmed, filed = feedback.in_order()
        for confirmation in confirmed:
            self.causes.learn(confirmation)
        for text in filed:
            if text.kind in _KINDS and text.lexicon in _KINDS:
                self.texts = self.texts or ComplaintTexts(_KINDS)
                self.texts.learn(TextReading(text.lexicon, text.buckets), text.kind)

    @property
    def accuracy(self) -> dict[str, tuple[float, float, float]]:
        """How often blind alerts' causes were right: shares with their 95 % intervals; empty if there are none."""
        causes = self.causes
        right = {"first": causes.first, "among_three": causes.among_three} if causes.judged else {}
        shares = {name: found / causes.judged for name, found in right.items()}
        return {name: (share, *wilson(share, causes.judged)) for name, share in shares.items()}

    @property
    def probe(self) -> str:
        """Numbers that differ between models that explain or classify differently, for the model's fingerprint."""
        numbers = [share for shares in self.causes.priors(ONE_TIME, REPEAT) for share in shares.values()]
        for rule in self.causes.rules():
            numbers += [rule.base_rate, *rule.likelihoods.values()]
        if self.texts is not None:
            for bucket in _PROBE:
                numbers += self.texts.probabilities(TextReading(OTHER, [bucket])).values()
        return " ".join(f"{number:.9f}" for number in (self.causes.total, *numbers))

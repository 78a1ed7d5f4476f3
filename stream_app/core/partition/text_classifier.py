"""Classifies complaint texts by the current model, or by the lexicon while staff have filed no text."""

from __future__ import annotations

from stream_app.core.model.scores import Model
from stream_app.core.state.complaint_kinds import TextReader


class TextClassifier:
    """Classifier of a partition; implements complaint_kinds.TextReader.

    Args:
        reader: reads texts with a lexicon.

    >>> from stream_app.core.state.complaint_kinds import unclassified
    >>> TextClassifier(unclassified)("slow")
    'other'
    """

    def __init__(self, reader: TextReader) -> None:
        self.model: Model | None = None  # the current one
        self.read = reader.read
        self._lexicon = reader

    def __call__(self, text: str) -> str:
        """Return the kind of complaint."""
        feedback = self.model.feedback if self.model is not None else None
        if feedback is None or feedback.texts is None:
            return self._lexicon(text)
        return feedback.texts.kind(self.read(text))

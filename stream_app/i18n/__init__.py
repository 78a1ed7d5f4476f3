"""The words for causes, segments and signs in the languages of people: what alerts, pages and dashboards say."""

from __future__ import annotations

from stream_app.i18n.explanations import LANGUAGES, cause_name, evidence_text, segment_name
from stream_app.i18n.translator import Translator

__all__ = ["LANGUAGES", "Translator", "cause_name", "evidence_text", "segment_name"]

"""Meanings of the kinds and fields of the event schema, from the catalogue `events`."""

from __future__ import annotations

from typing import Final

from stream_app.i18n import Translator

COMMON: Final = "every"  # group of the fields shared by all kinds


def meanings(kind: str, lang: str = "en") -> dict[str, str]:
    """Return the meanings of the fields of a kind (or of COMMON), without a full stop.

    >>> meanings("browsing", "zh")["load_seconds"]
    '页面加载时长'
    """
    return dict(Translator(lang, "events").group(f"fields.{kind}"))


def units(kind: str, lang: str = "en") -> dict[str, str]:
    """Return the units of the fields of a kind (or of COMMON) that have one."""
    return dict(Translator(lang, "events").group(f"units.{kind}"))


def describe(kind: str, field: str) -> str:
    """Describe a field in an English sentence, with its unit.

    >>> describe("browsing", "load_seconds")
    'Time to load the page (seconds).'
    """
    texts, unit = meanings(COMMON) | meanings(kind), (units(COMMON) | units(kind)).get(field)
    return f"{texts[field]} ({unit})." if unit else f"{texts[field]}."


def meaning_of_kind(kind: str, lang: str = "en") -> str:
    """Describe a kind of event in a sentence.

    >>> meaning_of_kind("browsing")
    'A page view.'
    """
    translator = Translator(lang, "events")
    return f"{translator.text(f'kinds.{kind}')}{translator.full_stop}"

"""Texts of the dashboards by language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("en", "zh")
_FOLDER: Final = Path(__file__).parent / "words"


@cache
def words(lang: str) -> Mapping[str, Any]:
    """Return all texts of a language, by page and panel."""
    found: Mapping[str, Any] = tomllib.loads((_FOLDER / f"{lang}.toml").read_text(encoding="utf-8"))
    return found


def say(lang: str, *place: str) -> str:
    """Return the text at a place.

    >>> say("en", "service", "title"), say("zh", "service", "title")
    ('Service', '服务')
    """
    found: Any = words(lang)
    for name in place:
        found = found[name]
    text: str = found
    return text


def names_of(lang: str, of: str) -> dict[str, str]:
    """Return the names of the values of a label: {"orders": "订单"}."""
    found: dict[str, str] = words(lang)["names"][of]
    return dict(found)

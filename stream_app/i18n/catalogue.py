"""Catalogues of texts, one TOML file per language and domain: `locales/LANGUAGE/DOMAIN.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

LANGUAGES: Final = ("en", "zh")


@cache
def catalogue(lang: str, domain: str) -> Mapping[str, Any]:
    """Return the texts of a domain such as "report", by group and key.

    Raises ValueError if the language is unknown.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"unknown language {lang!r}: use one of {', '.join(LANGUAGES)}")
    path = resources.files("stream_app.i18n").joinpath("locales", lang, f"{domain}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))

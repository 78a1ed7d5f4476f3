"""User-facing texts in English and 简体中文: catalogues in `locales/`, and a `Translator` that reads them."""

from __future__ import annotations

from stream_app.i18n.catalogue import LANGUAGES, catalogue
from stream_app.i18n.translator import Translator

__all__ = ["LANGUAGES", "Translator", "catalogue"]

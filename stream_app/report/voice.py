"""Words, numbers and dates in the reader's language."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import Final

from stream_app.errors import ContradictorySettings

LANGUAGES: Final = ("en", "zh")
HTML_LANGUAGE: Final = {"en": "en", "zh": "zh-Hans"}
MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
SIGNS: Final = {"CNY": "¥", "RMB": "¥", "EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}


@cache
def catalogue(lang: str) -> dict[str, dict[str, str]]:
    """All words of a language by part of the report and key. ContradictorySettings for a language that we lack."""
    if lang not in LANGUAGES:
        raise ContradictorySettings(
            name="lang", problem=f"is unknown: {lang!r}", remedy=f"Give one of {', '.join(LANGUAGES)}."
        )
    text = resources.files("stream_app.report").joinpath("words", f"{lang}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


class Voice:
    """How one language says things. Missing figures (None) are said as a dash.

    >>> Voice("en").say("verdict.buyers", have="1,200", need="500")
    '1,200 buyers; at least 500 are needed'
    >>> Voice("zh").percent(0.413), Voice("en").percent(0.413)
    ('41%', '41%')
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.words = catalogue(lang)
        self.html_language = HTML_LANGUAGE[lang]
        self.colon, self.gap = ("：", "") if lang == "zh" else (": ", " ")  # the gap parts two sentences
        self.dash = self.words["page"]["none"]

    def say(self, key: str, **vector: object) -> str:
        """The words of `part.key`, with the facts in their places."""
        part, _, name = key.partition(".")
        text = self.words[part][name]
        return text.format(**vector) if vector else text

    def name(self, part: str, key: str) -> str:
        """The word for a key that may be unknown: then the key itself, made readable.

        >>> Voice("en").name("expert", "my_new_model")
        'my new model'
        """
        return self.words[part].get(key, key.replace("_", " "))

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with separators.

        >>> Voice("en").number(12345.678, 1), Voice("en").number(None)
        ('12,345.7', '–')
        """
        return self.dash if value is None else f"{value:,.{digits}f}".replace("-", "−")

    def percent(self, share: float | None, digits: int = 0) -> str:
        """A share in percent."""
        if share is None:
            return self.dash
        return f"{share * 100:.{digits}f}%"

    def money(self, amount: float | None, currency: str = "") -> str:
        """An amount in two to four significant digits; Chinese counts in 万.

        >>> Voice("en").money(27110.7, "CNY"), Voice("zh").money(27110.7, "CNY"), Voice("en").money(1234567.0)
        ('¥27,100', '¥2.71万', '1,230,000')
        """
        if amount is None:
            return self.dash
        sign = SIGNS.get(currency, f"{currency} " if currency else "")
        if self.lang == "zh" and amount >= 10_000:
            return f"{sign}{amount / 10_000:,.{0 if amount >= 1e6 else 1 if amount >= 1e5 else 2}f}万"
        rounded = float(f"{amount:.3g}") if amount >= 1000 else round(amount)
        return f"{sign}{rounded:,.0f}"

    def day(self, iso: str) -> str:
        """A date as one says it.

        >>> Voice("en").day("2024-06-05"), Voice("zh").day("2024-06-05")
        ('5 June 2024', '2024年6月5日')
        """
        d = date.fromisoformat(iso)
        return f"{d.year}年{d.month}月{d.day}日" if self.lang == "zh" else f"{d.day} {MONTHS[d.month - 1]} {d.year}"

"""Translator of keys, numbers and dates into one language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import reduce
from operator import getitem
from typing import Any, Final

from stream_app.i18n.catalogue import catalogue

CURRENCY_SIGNS: Final = {"CNY": "¥", "RMB": "¥", "EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}
MANY_GAPS: Final = 10.0  # higher multiples of the usual gap, such as after two orders in a row, say nothing more


class Translator:
    """Translator into one language. Missing numbers (None) are shown as a dash.

    Args:
        lang: one of LANGUAGES; any other raises ValueError.
        domains: catalogues to use in addition to `explanations` (causes, segments, stages, risk bands, evidence).

    >>> Translator("en", "report").text("verdict.buyers", have="1,200", need="500")
    '1,200 buyers; at least 500 are needed'
    >>> Translator("zh").percent(0.413), Translator("zh").cause("forgot_shop")
    ('41%', '对店铺印象淡')
    """

    def __init__(self, lang: str, *domains: str) -> None:
        self.lang = lang
        self._groups: dict[str, Any] = {}
        for domain in ("explanations", *domains):
            self._groups |= catalogue(lang, domain)
        self.html_language: str = self._groups["language"]["html"]
        self.colon: str = self._groups["punctuation"]["colon"]
        self.sentence_gap: str = self._groups["punctuation"]["sentence_gap"]
        self.full_stop: str = self._groups["punctuation"]["full_stop"]
        self.dash: str = self._groups["punctuation"]["dash"]

    def text(self, key: str, **values: object) -> str:
        """Return the text for a dotted key, with the values filled in."""
        text: str = self._found(key)
        return text.format(**values) if values else text

    def group(self, key: str) -> Mapping[str, str]:
        """Return all texts of a group."""
        texts: Mapping[str, str] = self._found(key)
        return texts

    def _found(self, key: str) -> Any:
        return reduce(getitem, key.split("."), self._groups)

    def name(self, group: str, key: str) -> str:
        """Return the name for a key, or the key itself in readable form if it is unknown.

        >>> Translator("en", "report").name("expert", "my_new_model")
        'my new model'
        """
        return self._groups[group].get(key, key.replace("_", " "))

    def cause(self, key: str) -> str:
        """Return the name of a cause of churn."""
        return self.name("causes", key)

    def segment(self, key: str) -> str:
        """Return the name of a segment."""
        return self.name("segments", key)

    def risk_band(self, key: str, lower: float, upper: float) -> str:
        """Return the name of a risk band, with its probability bounds in percent.

        >>> Translator("en").risk_band("high", 0.5, 0.75), Translator("zh").risk_band("high", 0.5, 0.75)
        ('high, 50–75%', '高，50–75%')
        """
        bounds = f"{lower * 100:.0f}–{upper * 100:.0f}%"
        return f"{self.name('risk_bands', key)}{self._groups['punctuation']['comma']}{bounds}"

    def evidence(self, rule: str, numbers: Mapping[str, float]) -> str:
        """Return a piece of evidence as a sentence.

        Args:
            rule: key of the evidence rule.
            numbers: numbers for the sentence by name: days, counts, and shares between 0 and 1.

        >>> found = "open_complaint", {"complaints": 2.0, "open": 1.0, "days": 6.2}
        >>> Translator("en").evidence(*found), Translator("zh").evidence(*found)
        ('1 complaint still open after 6 days', '1 次投诉已 6 天仍未解决')
        """
        times = numbers.get("times", 1.0)
        if rule == "silence" and times < 1.0:
            rule = "silence_short"  # a fraction of the usual gap would argue against the alert
        elif rule == "silence" and times > MANY_GAPS:
            rule = "silence_long"
        elif rule == "silence_once" and round(numbers.get("days", 1.0)) == 0:
            rule = "silence_today"
        text = self._groups["evidence"].get(rule)
        if text is None:
            listed = ", ".join(f"{name} {value:g}" for name, value in numbers.items())
            return f"{rule.replace('_', ' ')}{f' ({listed})' if listed else ''}"
        sentence: str = text.format(**{name: Number(value) for name, value in numbers.items()})
        return sentence

    def join(self, texts: Iterable[str]) -> str:
        """Join the texts into a one-line list."""
        separator: str = self._groups["punctuation"]["list_comma"]
        return separator.join(texts)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Format a number with thousands separators.

        >>> Translator("en").number(12345.678, 1), Translator("en").number(None)
        ('12,345.7', '–')
        """
        return self.dash if value is None else f"{value:,.{digits}f}".replace("-", "−")

    def percent(self, share: float | None, digits: int = 0) -> str:
        """Format a share between 0 and 1 as a percentage."""
        return self.dash if share is None else f"{share * 100:.{digits}f}%"

    def money(self, amount: float | None, currency: str = "") -> str:
        """Format an amount with two to four significant digits; Chinese uses units of 万 where customary.

        >>> english, chinese = Translator("en"), Translator("zh")
        >>> english.money(27110.7, "CNY"), chinese.money(27110.7, "CNY"), english.money(1234567.0)
        ('¥27,100', '¥2.71万', '1,230,000')
        """
        if amount is None:
            return self.dash
        sign = CURRENCY_SIGNS.get(currency, f"{currency} " if currency else "")
        if self.lang == "zh" and amount >= 10_000:
            return f"{sign}{amount / 10_000:,.{0 if amount >= 1e6 else 1 if amount >= 1e5 else 2}f}万"
        rounded = float(f"{amount:.3g}") if amount >= 1000 else round(amount)
        return f"{sign}{rounded:,.0f}"

    def day(self, iso: str) -> str:
        """Format a date, given as YYYY-MM-DD, in words.

        >>> Translator("en").day("2024-06-05"), Translator("zh").day("2024-06-05")
        ('5 June 2024', '2024年6月5日')
        """
        day = date.fromisoformat(iso)
        month = self._groups["months"][str(day.month)]
        return self.text("language.date", day=day.day, month=month, year=day.year)


class Number(float):
    """A number in a sentence. The format `n` rounds it, and `n day|days` adds the noun in the singular or plural.

    >>> f"{Number(1.2):n day|days}", f"{Number(3.0):n}", f"{Number(0.5):.0%}"
    ('1 day', '3', '50%')
    """

    def __format__(self, format_spec: str) -> str:
        kind, _, noun = format_spec.partition(" ")
        if kind != "n":
            return super().__format__(format_spec)
        one, _, many = noun.partition("|")
        whole = f"{round(self):,}"
        return f"{whole} {one if round(self) == 1 else many}" if noun else whole

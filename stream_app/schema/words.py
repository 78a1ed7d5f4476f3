"""What every field of the wire schema means, in both languages, from fields.toml."""

from __future__ import annotations

import inspect
import tomllib
from functools import cache
from importlib import resources

import msgspec

from stream_app.core.events.schema import KINDS


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The meaning of one field, without the full stop."""

    en: str
    zh: str
    unit: str = ""


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """fields.toml: the kinds in Chinese, the fields that every event has, and those of each kind."""

    kinds_zh: dict[str, str]
    every: dict[str, Words]
    browsing: dict[str, Words]
    cart: dict[str, Words]
    order: dict[str, Words]
    complaint: dict[str, Words]

    def of(self, kind: str) -> dict[str, Words]:
        """The fields of a kind."""
        own: dict[str, Words] = getattr(self, kind)
        return self.every | own


@cache
def catalogue() -> Catalogue:
    """The words of fields.toml."""
    text = resources.files("stream_app.schema").joinpath("fields.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Catalogue)


def describe(kind: str, field: str) -> str:
    """A field in one English sentence with its unit.

    >>> describe("browsing", "load_seconds")
    'How long the page took to load (seconds).'
    """
    words = catalogue().of(kind)[field]
    return f"{words.en} ({words.unit})." if words.unit else f"{words.en}."


def meaning_of_kind(kind: str) -> str:
    """What the type of a kind says of itself.

    >>> meaning_of_kind("browsing")
    'A page view.'
    """
    return inspect.getdoc(KINDS[kind]) or ""

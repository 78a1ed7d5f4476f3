"""The wire fields and kinds by name, as mappings name them, and guesses at what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final, get_type_hints

import msgspec

from stream_app.core.events.enumerations import CartAction, ComplaintForm, OrderAction, Page
from stream_app.core.events.schema import KINDS

Value = str | int | float | bool
SKIP: Final = "skip"
# What stands after the point in a kind such as `cart.favourite`: the field that it sets, and the words it may have.
SUBKINDS: Final[dict[str, tuple[str, type[Page | CartAction | OrderAction | ComplaintForm]]]] = {
    "browsing": ("page", Page),
    "cart": ("action", CartAction),
    "order": ("action", OrderAction),
    "complaint": ("form", ComplaintForm),
}
FIELDS: Final = {name: {f.name: f.type for f in msgspec.structs.fields(kind)} for name, kind in KINDS.items()}


def parse_kind(text: str) -> tuple[str, dict[str, Value]] | None:
    """A kind and what its second word sets; None if it is unknown.

    >>> parse_kind("cart.favourite"), parse_kind("order"), parse_kind("cart.favorit")
    (('cart', {'action': 'favourite'}), ('order', {}), None)
    """
    kind, point, word = text.partition(".")
    if kind not in SUBKINDS:
        return None
    field, words = SUBKINDS[kind]
    if not point:
        return kind, {}
    return (kind, {field: word}) if word in list(words) else None


def kind_names() -> list[str]:
    """Every kind that a mapping may name."""
    return [SKIP, *(name for kind, (_, words) in SUBKINDS.items() for name in (kind, *(f"{kind}.{w}" for w in words)))]


def kinds_with(key: str) -> list[str]:
    """The kinds that have a field, given as `field` or `kind.field`.

    >>> kinds_with("page"), kinds_with("order.amount"), kinds_with("amuont")
    (['browsing'], ['order'], [])
    """
    only, _, field = key.rpartition(".")
    return [kind for kind, fields in FIELDS.items() if only in ("", kind) and field in fields]


def is_number(key: str) -> bool:
    """Whether a field holds a number with a fraction: its column may be a product such as `Quantity * Price`."""
    return any(get_type_hints(KINDS[kind])[key.rpartition(".")[2]] == float | None for kind in kinds_with(key))


def field_names() -> list[str]:
    """All fields that a column may be mapped to."""
    return sorted({"type", *(field for fields in FIELDS.values() for field in fields)})


def factors(column: str) -> tuple[str, ...]:
    """The columns that are multiplied.

    >>> factors("Quantity * Price|UnitPrice"), factors("date")
    (('Quantity', 'Price|UnitPrice'), ('date',))
    """
    return tuple(part.strip() for part in column.split("*"))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar of the known words, upper and lower case being equal; None if none is similar.

    >>> nearest("Custmer_ID", ["Customer ID", "Country"])
    'Customer ID'
    """
    by_form = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), by_form, n=1, cutoff=0.6)
    return by_form[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The beginning of a remedy, empty if no known word is similar.

    >>> did_you_mean("ordr", ["cart", "order"])
    'Did you mean `order`? '
    """
    match = nearest(word, known)
    return f"Did you mean `{match}`? " if match else ""


def _plain(word: str) -> str:
    return re.sub(r"[\s_\-.]", "", word).lower()

"""Fields and kinds of events as named in mappings, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final, get_type_hints

import msgspec

from stream_app.core.events.enumerations import CartAction, ComplaintForm, ContactAction, OrderAction, Page
from stream_app.core.events.schema import KINDS

Value = str | int | float | bool
SKIP: Final = "skip"
# kind -> the field that a suffix such as `.favourite` in `cart.favourite` sets, and its enumeration
SUBKINDS: Final[dict[str, tuple[str, type[Page | CartAction | OrderAction | ComplaintForm | ContactAction]]]] = {
    "browsing": ("page", Page),
    "cart": ("action", CartAction),
    "order": ("action", OrderAction),
    "complaint": ("form", ComplaintForm),
    "contact": ("action", ContactAction),
}
FIELDS: Final = {name: {f.name: f.type for f in msgspec.structs.fields(kind)} for name, kind in KINDS.items()}


def parse_kind(text: str) -> tuple[str, dict[str, Value]] | None:
    """Parse a kind into its name and the field set by its suffix; return None if it is unknown.

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
    """Return all kinds that a mapping may use."""
    return [SKIP, *(name for kind, (_, words) in SUBKINDS.items() for name in (kind, *(f"{kind}.{w}" for w in words)))]


def kinds_with(key: str) -> list[str]:
    """Return the kinds that have a field, given as `field` or `kind.field`.

    >>> kinds_with("page"), kinds_with("order.amount"), kinds_with("amuont")
    (['browsing'], ['order'], [])
    """
    only, _, field = key.rpartition(".")
    return [kind for kind, fields in FIELDS.items() if only in ("", kind) and field in fields]


def is_number(key: str) -> bool:
    """Return whether a field is a float. Its column may be a product such as `Quantity * Price`."""
    return any(get_type_hints(KINDS[kind])[key.rpartition(".")[2]] == float | None for kind in kinds_with(key))


def field_names() -> list[str]:
    """Return all fields that a column may be mapped to."""
    return sorted({"type", *(field for fields in FIELDS.values() for field in fields)})


def factors(column: str) -> tuple[str, ...]:
    """Return the column names in a column expression, which may be a product.

    >>> factors("Quantity * Price|UnitPrice"), factors("date")
    (('Quantity', 'Price|UnitPrice'), ('date',))
    """
    return tuple(part.strip() for part in column.split("*"))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the most similar known word, ignoring case and punctuation; None if none is similar.

    >>> nearest("Custmer_ID", ["Customer ID", "Country"])
    'Customer ID'
    """
    by_form = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), by_form, n=1, cutoff=0.6)
    return by_form[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to begin a remedy with, or an empty string if no known word is similar.

    >>> did_you_mean("ordr", ["cart", "order"])
    'Did you mean `order`? '
    """
    match = nearest(word, known)
    return f"Did you mean `{match}`? " if match else ""


def _plain(word: str) -> str:
    return re.sub(r"[\s_\-.]", "", word).lower()

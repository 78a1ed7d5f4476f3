"""Bounded registry of the shops that a partition has seen."""

from __future__ import annotations

from typing import Final

import numpy as np
import xxhash

from stream_app.core.arrays import Floats, Ints
from stream_app.core.events.schema import DEFAULT_SHOP

MAX_SHOPS: Final = 50  # shops listed by name; all other names are counted as one additional shop
OTHER_SHOPS: Final = "other"
_KEY_BITS: Final = 48  # representable exactly in a float64


def shop_key(name: str) -> float:
    """Return a shop's key in the state vector, which is 0 for the default shop.

    >>> shop_key("default"), 0 < shop_key("s1") < 2**48
    (0.0, True)
    """
    if name == DEFAULT_SHOP:
        return 0.0
    return float((xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")) >> (64 - _KEY_BITS)) | 1)


class ShopRegistry:
    """Shop names and their indices, in order of appearance. Names beyond MAX_SHOPS share one index.

    >>> shops = ShopRegistry()
    >>> shops.place("default"), shops.place("s1"), shops.place("s1"), shops.names
    (0, 1, 1, ['default', 's1'])
    >>> shops.place_of_key(shop_key("s1"))
    1
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._places: dict[str, int] = {}
        self._keys: dict[float, int] = {}

    def place(self, name: str) -> int:
        """Return a shop's index, or the index of OTHER_SHOPS if there are too many or the name is not printable."""
        found = self._places.get(name)
        return found if found is not None else self._add(name)

    def place_of_key(self, key: float) -> int:
        """Return a shop's index by its key, or the index of OTHER_SHOPS if the name is not registered."""
        found = self._keys.get(key)
        return found if found is not None else self.place(OTHER_SHOPS)

    def places_of_keys(self, keys: Floats) -> Ints:
        """Return the shop indices for n keys, shape (n,)."""
        distinct, which = np.unique(keys, return_inverse=True)
        return np.array([self.place_of_key(key) for key in distinct.tolist()], dtype=np.int64)[which]

    def _add(self, name: str) -> int:
        if name != OTHER_SHOPS and (
            len(self.names) - (OTHER_SHOPS in self._places) >= MAX_SHOPS or not name.isprintable()
        ):
            return self.place(OTHER_SHOPS)
        self._places[name] = self._keys[shop_key(name)] = len(self.names)
        self.names.append(name)
        return self._places[name]

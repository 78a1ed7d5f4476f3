"""The shops whose events a partition has seen, as small numbers; there are few, and what is told of them is bounded."""

from __future__ import annotations

from typing import Final

from stream_app.core.events import DEFAULT_SHOP

MAX_SHOPS: Final = 50  # with a name of their own; whatever else a sender makes up is one shop more
OTHER_SHOPS: Final = "other"


class Shops:
    """Names of shops and their places, in order of appearance; the default shop is the first, and others are last.

    >>> shops = Shops()
    >>> shops.place("default"), shops.place("s1"), shops.place("s1"), shops.names
    (0, 1, 1, ['default', 's1'])
    """

    def __init__(self) -> None:
        self.names = [DEFAULT_SHOP]
        self._places = {DEFAULT_SHOP: 0}

    def place(self, name: str) -> int:
        """The place of a shop; that of OTHER_SHOPS when there are too many, or for a name that is no text."""
        found = self._places.get(name)
        return found if found is not None else self._take_in(name)

    def _take_in(self, name: str) -> int:
        if len(self.names) >= MAX_SHOPS or not name.isprintable():
            name = OTHER_SHOPS
        if name not in self._places:
            self._places[name] = len(self.names)
            self.names.append(name)
        return self._places[name]

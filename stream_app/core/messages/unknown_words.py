"""Counts of unknown enumeration values. Unknown values have no effect until they are mapped."""

from __future__ import annotations

from collections import Counter
from typing import Final

from stream_app.core.events.schema import Browsing, Complaint, Event

MAX_WORDS: Final = 50  # maximum number of words counted separately, over all fields
MAX_CHARS: Final = 40  # longer values are not shown
MORE: Final = "(more)"  # counts all words beyond MAX_WORDS
UNREADABLE: Final = "(unreadable)"  # values that may be personal data, such as a phone number or an address
_MOST_DIGITS: Final = 3
_PUNCTUATION: Final = frozenset(" _-./:")

Found = tuple[str, str]  # field, such as `order.action`, and word


class UnknownValues:
    """Bounded counts of unknown values by field and word.

    >>> from stream_app.core.events.schema import decode
    >>> words = UnknownValues()
    >>> words.record(decode('{"type":"order","event_id":"1","customer_id":"c","occurred_at":"2026-01-01T00:00:00Z",'
    ...                   '"action":"Completed"}'))
    >>> words.counts
    Counter({('order.action', 'Completed'): 1})
    """

    def __init__(self) -> None:
        self.counts: Counter[Found] = Counter()

    def record(self, event: Event) -> None:
        """Count the unknown values of an event."""
        if isinstance(event, Browsing):
            if event.page.is_unknown:
                self.add("browsing.page", event.page)
            return
        if event.action.is_unknown:
            self.add(f"{event.__struct_config__.tag}.action", event.action)
        if isinstance(event, Complaint) and event.form.is_unknown:
            self.add("complaint.form", event.form)

    def add(self, field: str, word: str, count: int = 1) -> Found:
        """Count a word of a field, and return the key under which it is counted."""
        found = (field, displayable(word))
        if found not in self.counts and len(self.counts) >= MAX_WORDS:
            found = (field, MORE)
        self.counts[found] += count
        return found

    @property
    def by_field(self) -> dict[str, dict[str, int]]:
        """Counts by field and word, most frequent words first."""
        fields: dict[str, dict[str, int]] = {}
        for (field, word), count in sorted(self.counts.items(), key=lambda one: (one[0][0], -one[1], one[0][1])):
            fields.setdefault(field, {})[word] = count
        return fields


def displayable(word: str) -> str:
    """Return the word if it is safe to show, or UNREADABLE if it may be personal data.

    >>> displayable(" Completed "), displayable("已完成"), displayable("li@example.com"), displayable("13800138000")
    ('Completed', '已完成', '(unreadable)', '(unreadable)')
    """
    word = word.strip()
    if word in (MORE, UNREADABLE):
        return word
    if not 0 < len(word) <= MAX_CHARS or sum(map(str.isdigit, word)) > _MOST_DIGITS:
        return UNREADABLE
    return word if all(one.isalnum() or one in _PUNCTUATION for one in word) else UNREADABLE

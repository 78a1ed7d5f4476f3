"""Masking of foreign texts: no names, phone numbers, markup or mentions."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MASK: Final = "••"
MAX_LENGTH: Final = 40  # characters of an id
PHONE_DIGITS: Final = 7  # minimum length of a phone number; separators do not count
_SHOWN_DIGITS: Final = 4  # of a masked number, as on a receipt
_DIGITS: Final = re.compile(rf"\d(?:[\s().+\-_/]*\d){{{PHONE_DIGITS - 1},}}")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
# Chat tools differ in their escapes, and some show the backslash. So every character that may be markup is replaced by
# its full-width form, which looks similar and is never markup.
_MARKUP: Final = {ord(sign): chr(ord(sign) + 0xFEE0) for sign in "@[](){}<>*_`#~|!\\&$^"}
_DOMAIN: Final = re.compile(r"\.(?=[^\W\d_])")  # chat tools turn bare domains into links
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}  # controls, direction marks, lone surrogates


def mask(customer: str) -> str:
    """Return a customer's id without names, phone numbers and markup.

    Words keep their first letter, long numbers their last four digits. Short numbers stay, so that the staff can
    distinguish customers. `stream-app alerts show` shows the whole id.

    >>> mask("ann.lee@mail.com"), mask("王小明"), mask("+86 138-1234-5678"), mask("c1042")
    ('a••．l••＠m••．c••', '王••', '+••5678', 'c1042')
    """
    digits = _DIGITS.sub(lambda found: MASK + re.sub(r"\D", "", found[0])[-_SHOWN_DIGITS:], visible(customer))
    masked = _WORD.sub(lambda found: found[0][0] + MASK, digits)
    return harmless(masked if len(masked) <= MAX_LENGTH else masked[: MAX_LENGTH - 1] + "…")


def harmless(text: str) -> str:
    """Return a foreign text on one line, without markup, mentions and links.

    >>> harmless("@all [x](http://evil.com)")
    '＠all ［x］（http:／／evil．com）'
    """
    return _DOMAIN.sub("．", visible(text).translate(_MARKUP).replace("://", ":／／"))


def visible(text: str) -> str:
    r"""Return a text on one line, without invisible characters and direction marks.

    >>> visible("a\nb\u202ec")
    'a bc'
    """
    spaced = " ".join(text.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in _INVISIBLE)

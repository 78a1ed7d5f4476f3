"""Masking of untrusted texts: removes names, phone numbers, markup and mentions."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MASK: Final = "••"
MAX_LENGTH: Final = 40  # maximum characters of an id
PHONE_DIGITS: Final = 7  # minimum length of a phone number; separators do not count
_SHOWN_DIGITS: Final = 4  # digits kept of a masked number, as on a receipt
_DIGITS: Final = re.compile(rf"\d(?:[\s().+\-_/]*\d){{{PHONE_DIGITS - 1},}}")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
# Chat tools differ in how they escape, and some show the backslash. So every possible markup character is replaced by
# its full-width form, which looks similar but is never interpreted as markup.
_MARKUP: Final = {ord(sign): chr(ord(sign) + 0xFEE0) for sign in "@[](){}<>*_`#~|!\\&$^"}
_DOMAIN: Final = re.compile(r"\.(?=[^\W\d_])")  # chat tools turn bare domains into links
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}  # controls, direction marks, lone surrogates


def mask(customer: str) -> str:
    """Return a customer id with names, phone numbers and markup masked.

    Words keep their first letter and long numbers their last four digits. Short numbers are unchanged, which
    keeps customers distinguishable. `stream-app alerts show` prints the full id.

    >>> mask("ann.lee@mail.com"), mask("王小明"), mask("+86 138-1234-5678"), mask("c1042")
    ('a••．l••＠m••．c••', '王••', '+••5678', 'c1042')
    """
    digits = _DIGITS.sub(lambda found: MASK + re.sub(r"\D", "", found[0])[-_SHOWN_DIGITS:], visible(customer))
    masked = _WORD.sub(lambda found: found[0][0] + MASK, digits)
    return harmless(masked if len(masked) <= MAX_LENGTH else masked[: MAX_LENGTH - 1] + "…")


def harmless(text: str) -> str:
    """Return an untrusted text as one line without markup, mentions or links.

    >>> harmless("@all [x](http://evil.com)")
    '＠all ［x］（http:／／evil．com）'
    """
    return _DOMAIN.sub("．", visible(text).translate(_MARKUP).replace("://", ":／／"))


def visible(text: str) -> str:
    r"""Return a text as one line without invisible characters or direction marks.

    >>> visible("a\nb\u202ec")
    'a bc'
    """
    spaced = " ".join(text.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in _INVISIBLE)

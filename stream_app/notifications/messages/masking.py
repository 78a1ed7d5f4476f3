"""What others have written, made safe to show: no names, no phone numbers, no markup, no mentions."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MASK: Final = "••"
MAX_LENGTH: Final = 40  # characters of an id that are shown
PHONE_DIGITS: Final = 7  # so many digits may be a phone number, whatever stands between them
_SHOWN_DIGITS: Final = 4  # of a number that is masked, as on a receipt
_DIGITS: Final = re.compile(rf"\d(?:[\s().+\-_/]*\d){{{PHONE_DIGITS - 1},}}")
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
# Chat tools do not agree on escapes, and a backslash is shown by some: so each sign that could be markup is replaced by
# its full-width twin, which looks alike and means nothing anywhere.
_MARKUP: Final = {ord(sign): chr(ord(sign) + 0xFEE0) for sign in "@[](){}<>*_`#~|!\\&$^"}
_DOMAIN: Final = re.compile(r"\.(?=[^\W\d_])")  # chat tools make links of bare domains
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}  # controls, direction marks, lone surrogates


def mask(customer: str) -> str:
    """A customer's id without a name or a phone number in it, and without markup.

    Of words the first letter stays, of long numbers the last four digits; short numbers stay, so that the staff can
    tell customers apart. The episode's id leads to the whole of it (`stream-app alerts show`).

    >>> mask("ann.lee@mail.com"), mask("王小明"), mask("+86 138-1234-5678"), mask("c1042")
    ('a••．l••＠m••．c••', '王••', '+••5678', 'c1042')
    """
    digits = _DIGITS.sub(lambda found: MASK + re.sub(r"\D", "", found[0])[-_SHOWN_DIGITS:], visible(customer))
    masked = _WORD.sub(lambda found: found[0][0] + MASK, digits)
    return harmless(masked if len(masked) <= MAX_LENGTH else masked[: MAX_LENGTH - 1] + "…")


def harmless(text: str) -> str:
    """Text of others on one line, in which nothing is markup, a mention or a link.

    >>> harmless("@all [x](http://evil.com)")
    '＠all ［x］（http:／／evil．com）'
    """
    return _DOMAIN.sub("．", visible(text).translate(_MARKUP).replace("://", ":／／"))


def visible(text: str) -> str:
    r"""Text on one line, without what cannot be seen or could turn its direction.

    >>> visible("a\nb\u202ec")
    'a bc'
    """
    spaced = " ".join(text.split())
    return "".join(sign for sign in spaced if unicodedata.category(sign) not in _INVISIBLE)

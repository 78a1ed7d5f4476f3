"""Signed bytes: nothing that a stranger wrote is parsed, not even its header.

Layout: MAGIC, an HMAC-SHA256 (32 bytes), the content. The signature covers the context as well: what is signed as one
thing cannot be passed off as another.
"""

from __future__ import annotations

import hmac
import struct
from typing import Final, NoReturn

from stream_app.errors import UnusableSnapshot

Keys = tuple[bytes, ...]  # the first signs, all verify: two while one replaces the other
MAGIC: Final = b"churnsig"
_DIGEST: Final = "sha256"
_START: Final = len(MAGIC) + 32  # of the content
_LENGTH: Final = struct.Struct("<I")
_UNSIGNED: Final = (
    "Delete the keys PREFIX:{model}:* in Redis: the trainer learns the model again from the labelled topic."
    " See docs/deploy.md, Signed models."
)
_OTHER_KEY: Final = (
    "Give all workers and the trainer the same model.key_file; while the key is replaced, the old one is its second"
    " line. See docs/deploy.md, Signed models."
)


def sign(content: bytes, context: str, keys: Keys) -> bytes:
    """Return the content with a signature by the first key.

    Args:
        content: any bytes.
        context: what the content is, and of which installation; `verified` must be given the same.
        keys: secrets, at least one.
    """
    return MAGIC + _mac(content, context, keys[0]) + content


def verified(signed: bytes, context: str, keys: Keys, source: str) -> bytes:
    """Return the content of what `sign` returned for the same context with one of the keys.

    Args:
        signed: the bytes, from anybody.
        context: what they must be.
        keys: secrets; any of them may have signed.
        source: where the bytes come from, for the error.

    Raises:
        UnusableSnapshot: no key has signed these bytes for this context.

    >>> verified(sign(b"model", "churn version 3", (b"new",)), "churn version 3", (b"newer", b"new"), "here")
    b'model'
    >>> verified(b"model", "churn version 3", (b"new",), "here")
    Traceback (most recent call last):
    stream_app.errors.UnusableSnapshot: The model snapshot here cannot be used: it is not signed. ...
    """
    if not signed.startswith(MAGIC):
        _refuse(source, "it is not signed", _UNSIGNED)
    given, content = signed[len(MAGIC) : _START], signed[_START:]
    if not any(hmac.compare_digest(given, _mac(content, context, key)) for key in keys):
        problem = "its signature is wrong: it was signed with another key, written for another place, or changed"
        _refuse(source, problem, _OTHER_KEY)
    return content


def _mac(content: bytes, context: str, key: bytes) -> bytes:
    where = context.encode()
    mac = hmac.new(key, MAGIC + _LENGTH.pack(len(where)) + where, _DIGEST)
    mac.update(content)
    return mac.digest()


def _refuse(source: str, problem: str, remedy: str) -> NoReturn:
    raise UnusableSnapshot(source=source, problem=problem, remedy=remedy)

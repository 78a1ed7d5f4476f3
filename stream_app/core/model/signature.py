"""Signatures of snapshots, which are verified before anything is parsed.

Layout: MAGIC, an HMAC-SHA256 (32 bytes), then the content. The signature also covers a context, so content signed for
    one purpose is not accepted for another.
"""

from __future__ import annotations

import hmac
import struct
from typing import Final

from stream_app.errors import UnusableSnapshot

Keys = tuple[bytes, ...]  # the first key signs, all keys verify; there are two during key rotation
MAGIC: Final = b"churnsig"
_DIGEST: Final = "sha256"
_START: Final = len(MAGIC) + 32  # offset of the content
_LENGTH: Final = struct.Struct("<I")
_UNSIGNED: Final = (
    "Delete the keys PREFIX:{model}:* in Redis; the trainer then learns the model again from the labelled topic."
    " See docs/how-to/model-key.md."
)
_OTHER_KEY: Final = (
    "Use the same model.key_file for all workers and the trainer; while a key is replaced, the old key is on the second"
    " line. See docs/how-to/model-key.md."
)


def sign(content: bytes, context: str, keys: Keys) -> bytes:
    """Return the content, signed with the first key.

    Args:
        content: any bytes.
        context: purpose and installation of the content; `verify` requires the same context.
        keys: one or more secrets.
    """
    return MAGIC + _mac(content, context, keys[0]) + content


def verify(signed: bytes, context: str, keys: Keys, source: str) -> bytes:
    """Verify the signature of signed bytes and return their content.

    Args:
        signed: untrusted bytes.
        context: expected context.
        keys: accepted secrets.
        source: origin of the bytes, for the error message.

    Raises:
        UnusableSnapshot: the signature does not match any key for this context.

    >>> verify(sign(b"model", "churn version 3", (b"new",)), "churn version 3", (b"newer", b"new"), "here")
    b'model'
    >>> verify(b"model", "churn version 3", (b"new",), "here")
    Traceback (most recent call last):
    stream_app.errors.UnusableSnapshot: The model snapshot here cannot be used: it is not signed. ...
    """
    if not signed.startswith(MAGIC):
        raise UnusableSnapshot(source=source, problem="it is not signed", remedy=_UNSIGNED)
    given, content = signed[len(MAGIC) : _START], signed[_START:]
    if not any(hmac.compare_digest(given, _mac(content, context, key)) for key in keys):
        problem = (
            "its signature is invalid: it was signed with another key, written for another installation, or modified"
        )
        raise UnusableSnapshot(source=source, problem=problem, remedy=_OTHER_KEY)
    return content


def _mac(content: bytes, context: str, key: bytes) -> bytes:
    where = context.encode()
    return hmac.digest(key, MAGIC + _LENGTH.pack(len(where)) + where + content, _DIGEST)

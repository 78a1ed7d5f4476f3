"""Signatures of Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): secrets, signing and verification.

`channels/webhook.py` signs its requests with it. Chat robots sign in their own modules, such as `channels/feishu.py`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from stream_app.config.fields import ContradictionError
from stream_app.config.secrets import is_reference, resolved
from stream_app.errors import BadSecret

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)  # length required by Standard Webhooks 1.0.0
TOLERANCE_SECONDS: Final = 300  # maximum clock difference; older requests may be replays
_ID: Final = re.compile(r"[!-~]{1,256}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_REMEDY: Final = f"Use {PREFIX} followed by 24 to 64 bytes in base64; `stream-app secret` creates one."


def webhook_key(secret: str) -> bytes:
    """Decode the key in a secret (`whsec_` followed by base64). The prefix is optional.

    Raises ValueError, with a message that does not contain the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(key) not in KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes instead of {KEY_BYTES.start} to {KEY_BYTES.stop - 1}")
    return key


def read_webhook_key(reference: str, environ: Mapping[str, str] | None = None) -> bytes:
    """Return the key from the secret that `env:NAME` or `file:PATH` refers to. Raise BadSecret, which never shows it.

    >>> read_webhook_key("env:HOOK", {"HOOK": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"})
    b'012345678901234567890123'
    """
    if not is_reference(reference):  # not shown, since it may be the secret itself
        raise BadSecret(source="reference", problem="is not a reference", remedy="Use env:NAME or file:PATH.")
    try:
        return webhook_key(resolved(reference, os.environ if environ is None else environ))
    except ContradictionError as error:
        raise BadSecret(source=reference, problem=error.problem, remedy=error.remedy) from error
    except ValueError as error:
        raise BadSecret(source=reference, problem=str(error), remedy=_REMEDY) from None


def signature(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    """Return one signature for the `webhook-signature` header.

    >>> signature(b"k" * 24, "msg", 0, b"{}")
    'v1,7oae1+wsAOG4o0P0WIjPDotxZBYqz6uG3XxwwLF7ohE='
    """
    return Webhook(key).sign(message_id, datetime.fromtimestamp(seconds, UTC), body.decode())


class Verifier:
    """Verifier of signed requests.

    Args:
        key: key of the signatures.

    >>> verifier = Verifier(webhook_key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"))
    >>> headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": "v1,9P7ZWiPsMlcp"}
    >>> verifier.problem(headers, b"{}", now=1_700_000_000)
    'signature'
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def problem(self, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
        """Return what is missing or wrong (id, timestamp, stale or signature), or None if the request is valid.

        Args:
            headers: headers of the request, with names in lower case.
            body: body of the request.
            now: seconds since 1970.
        """
        message_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not _ID.fullmatch(message_id):
            return "id"
        if not _SECONDS.fullmatch(sent):
            return "timestamp"
        if abs(now - int(sent)) > TOLERANCE_SECONDS:
            return "stale"
        try:
            expected = signature(self._key, message_id, int(sent), body).encode("ascii")
        except UnicodeDecodeError:
            return "signature"
        # While a secret is being replaced, there is one signature per secret.
        given = headers.get("webhook-signature", "").split(" ")
        matches = [hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in given]
        return None if any(matches) else "signature"

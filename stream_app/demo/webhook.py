"""What a receiver of Standard Webhooks checks, and the secrets that it checks with."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping
from typing import Final

from stream_app.config.fields import ContradictionError
from stream_app.config.secrets import is_reference, resolved
from stream_app.errors import BadSecret
from stream_app.notifications.channels.webhook import KEY_BYTES, PREFIX, signatures

TOLERATED_SECONDS: Final = 300  # of difference between the clocks; a request that was recorded is refused later
REFUSALS: Final = ("id", "timestamp", "stale", "signature")  # what is missing or wrong
_ID: Final = re.compile(r"[!-~]{1,256}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_REMEDY: Final = f"It is written {PREFIX} and 24 to 64 bytes in base64; `stream-app secret` makes one."


class Verifier:
    """Checks signatures, as https://www.standardwebhooks.com describes version 1.0.0.

    Args:
        key: of the signatures.

    >>> verifier = Verifier(webhook_key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"))
    >>> sign = "v1,9P7ZWiPsMlcpfAShJ8TxFMW+kU/8O35fYHSgcNDNoVg="
    >>> headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": sign}
    >>> verifier.problem(headers, b"{}", now=1_700_000_000)
    'signature'
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def problem(self, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
        """Why a request must be refused, one of REFUSALS; None: it is what the sender has sent.

        Args:
            headers: whose names may be asked for in lower case.
            body: as it came.
            now: seconds since 1970.
        """
        identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not _ID.fullmatch(identity):
            return "id"
        if not _SECONDS.fullmatch(sent):
            return "timestamp"
        if abs(now - int(sent)) > TOLERATED_SECONDS:
            return "stale"
        right = signatures([self._key], identity, sent, body).encode("ascii")
        # Several stand side by side while a secret is being changed.
        given = headers.get("webhook-signature", "").split(" ")
        well = [hmac.compare_digest(right, one.encode("utf-8", "replace")) for one in given]
        return None if any(well) else "signature"


def webhook_key(secret: str, source: str = "given") -> bytes:
    """The key of a secret, `whsec_…`. Raises BadSecret, which names the source and never the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSecret(source=source, problem="is not base64", remedy=_REMEDY) from error
    if len(key) not in KEY_BYTES:
        raise BadSecret(source=source, problem=f"has {len(key)} bytes", remedy=_REMEDY)
    return key


def read_secret(reference: str, environ: Mapping[str, str] | None = None) -> str:
    """The secret that `env:NAME` or `file:PATH` refers to. Raises BadSecret.

    >>> read_secret("env:HOOK", {"HOOK": "whsec_…"})
    'whsec_…'
    """
    if not is_reference(reference):  # not shown: it may be the secret itself
        raise BadSecret(
            source="reference", problem="is neither a name nor a path", remedy="Give env:NAME or file:PATH."
        )
    try:
        return resolved(reference, os.environ if environ is None else environ)
    except ContradictionError as error:
        raise BadSecret(source=reference, problem=error.problem, remedy=error.remedy) from error

"""Host header check that protects against DNS rebinding."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_local_host(host: str | None) -> bool:
    """Return whether a Host header is `localhost` or an IP address.

    Any other name may belong to an attacker's site that resolves to this machine; its pages could then read ours.

    >>> [is_local_host(host) for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7")]
    [True, True, True, True]
    >>> [is_local_host(host) for host in ("evil.example:8080", "localhost.evil.example", "", None, "[")]
    [False, False, False, False, False]
    """
    try:
        name = urlsplit(f"//{host or ''}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False

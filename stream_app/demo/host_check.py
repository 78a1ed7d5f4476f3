"""By which name a page of this machine is asked for."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def asked_directly(host: str | None) -> bool:
    """Whether a Host header names this machine as localhost or by an address.

    A name of somebody else's may be made to lead here ("DNS rebinding"), so that his page could read ours.

    >>> [asked_directly(host) for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7")]
    [True, True, True, True]
    >>> [asked_directly(host) for host in ("evil.example:8080", "localhost.evil.example", "", None, "[")]
    [False, False, False, False, False]
    """
    try:
        name = urlsplit(f"//{host or ''}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False

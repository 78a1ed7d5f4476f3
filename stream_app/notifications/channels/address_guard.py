"""Protection against requests to private addresses.

Host names are resolved and checked here, and aiohttp connects to the checked addresses. A second lookup after the check
could return another address (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

from stream_app.errors import PrivateAddress

# Python calls this address global, but clouds serve their instance metadata there.
_NOT_PUBLIC: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
# IPv6 addresses that embed an IPv4 address, which a NAT64 gateway would connect to.
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
Lookup = Callable[[str, int, int], Awaitable[list[Any]]]  # host, port and family, as for getaddrinfo


def is_public(text: str) -> bool:
    """Return whether an address is on the public internet.

    Private, loopback, link-local (cloud metadata), shared, reserved and multicast addresses are not public. Neither are
    IPv6 addresses that embed one of these IPv4 addresses.

    >>> is_public("93.184.216.34"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    address = ip_address(text.partition("%")[0])
    inner = _inside(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    if isinstance(address, IPv4Address) and any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_unspecified


def _inside(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address embedded in an IPv6 address, or None."""
    embedded = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if embedded is None and (any(address in network for network in _NAT64) or int(address) >> 32 == 0):
        return IPv4Address(int(address) & 0xFFFFFFFF)  # an address with 96 leading zeros is "IPv4-compatible"
    return embedded


def refuse_private_literal(host: str) -> None:
    """Raise PrivateAddress if the host is a private IP address; aiohttp does not pass these to the resolver."""
    try:
        public = is_public(host.strip("[]"))
    except ValueError:
        return  # a name
    if not public:
        raise PrivateAddress(host=host, address=host)


async def system_lookup(host: str, port: int, family: int) -> list[Any]:
    """Resolve a name with the system's resolver."""
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)


class GuardedResolver(AbstractResolver):
    """Resolver for aiohttp that returns only public addresses.

    Args:
        allow_private: whether private addresses are allowed too.
        lookup: function that resolves names.
    """

    def __init__(self, *, allow_private: bool, lookup: Lookup = system_lookup) -> None:
        self._allow_private, self._lookup = allow_private, lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raise PrivateAddress if any is not public, or OSError if there are none."""
        found: list[ResolveResult] = []
        for kind, _, proto, _, where in await self._lookup(host, port, family):
            address = str(where[0])
            if not self._allow_private and not is_public(address):
                raise PrivateAddress(host=host, address=address)
            found.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=kind,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not found:
            raise OSError(None, "no address")
        return found

    async def close(self) -> None:
        """Do nothing: the resolver holds no resources."""

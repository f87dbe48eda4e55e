"""Where we are willing to send a client's events: https, to addresses of the public internet.

Checked when an endpoint is registered, for a quick answer, and again on the address of each connection that is made, which is
what holds: a name may stand for another address by then.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from schema.errors import InvalidRequest

_RESOLVE_TIMEOUT_S: Final = 5
_EMBEDDING: Final = tuple(ip_network(block) for block in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 that carries an IPv4 address inside (NAT64, 6to4, Teredo): where it ends up cannot be told from outside."""
_CLOUD_METADATA: Final = frozenset({ip_address("168.63.129.16")})
"""Azure's; the other clouds' are link-local or private and fall under the general rule."""


class ForbiddenTarget(InvalidRequest):
    """We do not send there."""

    code = "unsafe_url"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; false for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    plain: IPv4Address | IPv6Address = (parsed.ipv4_mapped or parsed) if parsed.version == 6 else parsed
    if plain in _CLOUD_METADATA or plain.is_multicast or plain.is_reserved or not plain.is_global:
        return False
    return not any(plain in block for block in _EMBEDDING)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError, also for a name that cannot be one."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("not a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_addresses(addresses: Sequence[str]) -> None:
    """Raises ForbiddenTarget unless every one is public: a name with one address inside is not to be trusted with the others."""
    if not addresses or not all(is_public(address) for address in addresses):
        raise ForbiddenTarget("the address is not on the public internet", field="/url")


async def check_url(url: str, *, allow_private: bool) -> None:
    """Raises ForbiddenTarget for an address that no endpoint may have, or whose name cannot be resolved."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ForbiddenTarget("that is no address", field="/url") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise ForbiddenTarget("the address must begin with https://", field="/url")
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenTarget("the address must be a host and a path, without user and fragment", field="/url")
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            addresses = await resolve(host, port or 443)
    except (OSError, TimeoutError):
        raise ForbiddenTarget("the host of the address cannot be found", field="/url") from None
    if not allow_private:
        check_addresses(addresses)

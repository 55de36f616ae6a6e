"""Whose tries count together: those of one address, and of IPv6 those of one network, which one machine may have."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

# A home, an office or a rented server gets at least so much of IPv6 (RFC 6177); what is smaller belongs to one machine.
_NETWORK = 64


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """What is no address of IPv6 stays as it is."""
    try:
        read = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(read, ipaddress.IPv4Address):
        return str(read)
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(ipaddress.ip_network((read, _NETWORK), strict=False))

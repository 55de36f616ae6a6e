"""Which Unix user is at the other end of a connection on loopback, where the system tells: Linux does (proc(5))."""

from __future__ import annotations

import sys
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

# The kernel's tables of TCP sockets; a socket of IPv6 may be connected to an address of IPv4, too.
TABLES = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
_LISTENS = "0A"  # TCP_LISTEN in the kernel's net/tcp_states.h
_MAPPED = "0000000000000000FFFF0000"  # ::ffff:0:0/96, as these tables write it


def user_of(caller: tuple[str, int], to: tuple[str, int]) -> int | None:
    """The user id of the socket at `caller` that is connected to our `to`, None where no table can be read.

    A connection that no table has is nobody's we know: -1.
    """
    ends = _written(caller), _written(to)
    is_told = False
    for table in TABLES:
        with suppress(OSError):
            rows = table.read_text().splitlines()[1:]
            is_told = True
            for row in rows:
                _, local, remote, _, _, _, _, user, *_ = row.split()
                if (local.removeprefix(_MAPPED), remote.removeprefix(_MAPPED)) == ends:
                    return int(user)
    return -1 if is_told else None


def listener_at(port: int) -> int | None:
    """The user id of who listens at this port of loopback, None where no table tells."""
    with suppress(OSError, ValueError):
        for table in TABLES:
            for row in table.read_text().splitlines()[1:]:
                _, local, _, state, _, _, _, user, *_ = row.split()
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    return int(user)
    return None


def _written(end: tuple[str, int]) -> str:
    """As the kernel prints it: the address as a number of this machine's byte order, and the port."""
    address = int.from_bytes(IPv4Address(end[0]).packed, sys.byteorder)
    return f"{address:08X}:{end[1]:04X}"

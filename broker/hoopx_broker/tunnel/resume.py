"""Read on from a transport that was paused, from what TLS has taken off the socket already too.

A TLS transport of aiofastnet 1.2 that was paused before its protocol had taken all keeps the rest until the socket
gives something more. A peer that waits for our answer sends nothing more, and both would wait for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any


def resume_reading(transport: Any) -> None:
    """As `asyncio.ReadTransport.resume_reading`."""
    if hasattr(transport, "_do_read"):
        asyncio.get_running_loop().call_soon(_read_on, transport)
    transport.resume_reading()


def _read_on(transport: Any) -> None:
    if transport.is_closing():
        return
    try:
        transport._do_read()
    except (OSError, RuntimeError):  # what is left is no TLS
        transport.abort()

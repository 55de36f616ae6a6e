"""The broker's own log: one event a line, names `source.action`, never a secret."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import structlog

from hoopx_broker.daemon.sparing import Sparing

_HANDSHAKE = "SSL handshake failed"


def start_logging() -> Sparing:
    """Events go to stderr: as JSON for machines, in columns on a terminal. Libraries speak up from WARNING on."""
    sparing = Sparing()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(sparing)
    to_people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            sparing,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _for_people() if to_people else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return sparing


def of_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody else heard of. A handshake of TLS that fails is told to whoever waits for it, and to nobody else:

    anybody can begin one and leave, and aiofastnet would log each time.
    """
    if context.get("message") != _HANDSHAKE:
        loop.default_exception_handler(context)


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Where a task failed, but not what its variables held: passwords and tokens among them."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

"""The broker's own log: one event a line, names `source.action`, never a secret."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog

from hoopx_broker.daemon.sparing import Sparing

_HANDSHAKE = "SSL handshake failed"


def start_logging() -> Sparing:
    """Events go to stderr: as JSON for machines, in columns on a terminal. Libraries speak up from WARNING on."""
    sparing = Sparing()
    logging.raiseExceptions = False
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
        logger_factory=lambda *_: Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return sparing


def name_worker(number: int) -> None:
    """From now on each line says which worker writes it."""

    def name(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["worker"] = number
        return event

    structlog.get_config()["processors"].insert(0, name)


class Lines:
    """Writes lines, and bears a disk that is full: no work may end because nobody could be told of it.

    What the evidence needs is in the evidence, where a failure to write refuses and ends sessions.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError):
            print(line, file=self._stream, flush=True)

    log = debug = info = warning = warn = error = critical = exception = fatal = msg


def of_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody else heard of. A handshake of TLS that fails is told to whoever waits for it, and to nobody else:

    anybody can begin one and leave, and aiofastnet would log each time.
    """
    if context.get("message") != _HANDSHAKE:
        loop.default_exception_handler(context)


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Where a task failed, but not what its variables held: passwords and tokens among them."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

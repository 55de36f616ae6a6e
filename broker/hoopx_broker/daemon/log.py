"""The broker's own log: one event a line, names `source.action`, never a secret."""

from __future__ import annotations

import logging
import sys

import structlog


def start_logging() -> None:
    """Events go to stderr: as JSON for machines, in columns on a terminal. Libraries speak up from WARNING on."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    to_people = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _for_people() if to_people else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Where a task failed, but not what its variables held: passwords and tokens among them."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)

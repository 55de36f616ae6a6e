"""The broker's own log goes on where it cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hoopx_broker.daemon.sparing import TOLD

SPEAKS = """
import logging, structlog
from hoopx_broker.daemon import log

log.start_logging()
for number in range(2000):
    structlog.get_logger().error("lease.not_revoked", lease=number)
    logging.getLogger("library").warning("something of %s", number)
structlog.get_logger().info("broker.stopping")
print("went on")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_what_cannot_be_written_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", SPEAKS], stdout=subprocess.PIPE, stderr=full, check=False)
    assert ran.stdout == b"went on\n"


def test_what_can_be_written_is() -> None:
    ran = subprocess.run([sys.executable, "-c", SPEAKS], capture_output=True, check=True)
    assert ran.stderr.count(b'"event": "lease.not_revoked"') == 2000
    assert ran.stderr.count(b"library: something of") == TOLD

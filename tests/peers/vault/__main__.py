"""Run the double in a process of its own: `python -m tests.peers.vault HOME [PORT]`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.peers.vault.double import run

run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)

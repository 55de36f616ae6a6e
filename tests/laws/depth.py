"""How many examples a law is held to: fewer in every run, ten times as many in `make laws`."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """`few` times HOOPX_DEPTH, which is 1 unless it is set."""
    return few * int(os.environ.get("HOOPX_DEPTH", "1"))

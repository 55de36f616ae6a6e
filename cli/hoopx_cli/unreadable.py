"""Keep what this process holds from other programs of the same user, as far as the system can."""

from __future__ import annotations

import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4


def keep_from_others() -> None:
    """On Linux, `/proc/PID/environ`, `mem` and debuggers are root's from here on; elsewhere nothing is done.

    A program that is started afterwards is as open as ever. Python has no call for it, so that libc's is used.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)

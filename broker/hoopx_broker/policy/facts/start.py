"""Start the process that reads statements with the stack it needs, before it loads anything.

`python -m hoopx_broker.policy.facts.start` becomes `python -m hoopx_broker.policy.facts.child`.
"""

from __future__ import annotations

import os
import resource
import sys

# The parser recurses over chains of operators: with this stack, 1 MB of the worst of them still gets an answer.
STACK = 512 * 1024 * 1024
# Set for the second start, the one with the big stack.
STARTED = "HOOPX_READER_STACK"
_CHILD = "hoopx_broker.policy.facts.child"


def start_with_stack() -> None:
    """A stack's size is fixed at the start of a process, so set it and start again in the same process."""
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    stack = STACK if most == resource.RLIM_INFINITY else min(STACK, most)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, most))
    os.execve(sys.executable, [sys.executable, "-m", _CHILD], {**os.environ, STARTED: "1"})


if __name__ == "__main__":
    start_with_stack()

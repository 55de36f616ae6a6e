"""The process that reads statements for the broker, so that a hostile one kills nothing else.

Started as `python -m hoopx_broker.policy.facts.child`. The protocol, strictly one answer for each question, in order:

- stdin: four bytes, the length N of a statement in network order, then its N bytes as the client sent them; with the
  highest bit of the length set, the statement is to be written again; with the second highest, without its values
- stdout: four bytes, the length M of the answer, then M bytes that `facts.wire.decode` understands, or the statement as
  `facts.canonical` or `facts.normal` writes it, in UTF-8
- the end of stdin ends the process with 0

A frame longer than the statement's bound is answered as unreadable after its bytes were read and dropped; one longer
than `MAX_FRAME` ends the process. The process dies, and the statement is then unreadable, when a statement overflows
its stack (signal 11), its memory (an abort), or takes longer than `MAX_SECONDS` (signal 14). Whoever owns it starts
another one for the next statement, and need not keep a clock of its own except against a machine that stands still.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

from hoopx_broker.policy.facts.canonical import canonical
from hoopx_broker.policy.facts.guards import MAX_BYTES
from hoopx_broker.policy.facts.normal import normal
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.facts.start import STARTED, start_with_stack
from hoopx_broker.policy.facts.wire import HEADER, MAX_FRAME, NORMAL, REWRITE, encode, framed, length
from hoopx_broker.terms.facts import too_complex

# Stack and heap together. A tree of 1 MB of text takes some 100 MB.
MEMORY = 2 * 1024 * 1024 * 1024
# An honest statement takes a thousandth of this.
MAX_SECONDS = 5.0
# Levels of nesting in a tree: a chain of 1 000 `||` takes 3 000. Python frames need the big stack only in C code.
RECURSION = 10_000


def main() -> None:
    if STARTED not in os.environ:
        start_with_stack()
    _bound_memory()
    sys.setrecursionlimit(RECURSION)
    read(b"select 1")  # whatever is loaded lazily is loaded now, not under the first statement
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        # The owner is gone. An ordinary exit would try once more to write what nobody reads, and complain.
        os._exit(0)


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what a client typed does not go to disk in a core dump
    if sys.platform == "linux":  # elsewhere the limit is either refused or ignored
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end. A torn question ends it too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the owner, who closes our stdin
    while len(header := questions.read(HEADER)) == HEADER:
        asked = length(header)
        size = asked & ~(REWRITE | NORMAL)
        if size > MAX_FRAME:
            return
        statement = questions.read(size)
        if len(statement) < size:
            return
        answers.write(framed(_answered(statement, asked)))
        answers.flush()


def _answer(statement: bytes) -> bytes:
    if len(statement) > MAX_BYTES:
        return encode(too_complex(f"it is larger than {MAX_BYTES} bytes"))
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    answer = encode(read(statement))
    signal.setitimer(signal.ITIMER_REAL, 0)
    return answer


def _answered(statement: bytes, asked: int) -> bytes:
    if asked & REWRITE:
        return _rewritten(statement, canonical)
    return _rewritten(statement, normal) if asked & NORMAL else _answer(statement)


def _rewritten(statement: bytes, write: Callable[[bytes], str]) -> bytes:
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    answer = write(statement).encode()
    signal.setitimer(signal.ITIMER_REAL, 0)
    return answer


if __name__ == "__main__":
    main()

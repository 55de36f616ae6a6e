"""The `hoopx` command without its start: a process that has loaded it once forks for every command of the journeys.

A journey runs a few commands, and Python needs longer to load one than it needs to run. What comes after the start is
the same: arguments, environment, folder, input and output of its own, signals as they are at a start, an exit code.
Tests that are about the process itself (signals, terminals, how it starts) start the installed command; `HOOPX_COLD=1`
makes all of them do so.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import msgspec
from msgspec import Struct

from tests.peers import clients
from tests.peers.clients import CLIENT_LIMIT, HOOPX, Outcome, plain_environment

# These are processes of their own: servers, and what starts servers.
COLD = frozenset({"broker", "demo", "__main__"})
MAX_ORDER = 200_000  # a message over a socket


class _Order(Struct, frozen=True):
    """A command as it would be started."""

    arguments: tuple[str, ...]
    environ: dict[str, str]
    folder: str


def run(arguments: Sequence[str], environ: Mapping[str, str], stdin: str = "", limit: float = CLIENT_LIMIT) -> Outcome:
    """As `clients.run` of the installed command."""
    written = msgspec.json.encode(_Order(tuple(arguments), plain_environment() | dict(environ), str(Path.cwd())))
    if not _may_fork(arguments, environ) or len(written) > MAX_ORDER:
        return clients.run([HOOPX, *arguments], environ, stdin, limit)
    return _forge().run(written, stdin.encode(), limit)


def _may_fork(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Variables of the interpreter's own change the start itself; those of packages have a `_` there."""
    is_cold = "HOOPX_COLD" in os.environ or not arguments or arguments[0] in COLD
    return not (is_cold or any(re.match("PYTHON(?!_)", name) for name in environ))


class _Forge:
    """The process that forks. It ends with the process that holds its channel."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        atexit.register(self._close)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers.warm", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=plain_environment(),
                cwd=Path(__file__).parents[2],
            )

    def _close(self) -> None:
        self._channel.close()
        self._process.wait()

    def run(self, order: bytes, stdin: bytes, limit: float) -> Outcome:
        pipes = [os.pipe() for _ in range(4)]  # input, output, errors; what becomes of it
        (for_it, to_it), (out, its_out), (errors, its_errors), (said, its_word) = pipes
        theirs = [for_it, its_out, its_errors, its_word]
        socket.send_fds(self._channel, [order], theirs)
        for each in theirs:
            os.close(each)
        heard: dict[int, bytes] = {}
        readers = [threading.Thread(target=_read, args=(each, heard), daemon=True) for each in (out, errors, said)]
        readers.append(threading.Thread(target=_write, args=(to_it, stdin), daemon=True))
        for thread in readers:
            thread.start()
        ends = time.monotonic() + limit
        for thread in readers:
            thread.join(max(0.0, ends - time.monotonic()))
        if any(thread.is_alive() for thread in readers):
            raise subprocess.TimeoutExpired("hoopx", limit)
        return Outcome(int(heard[said]), heard[out].decode(), heard[errors].decode())


@cache
def _forge() -> _Forge:
    return _Forge()


def _read(pipe: int, heard: dict[int, bytes]) -> None:
    with os.fdopen(pipe, "rb") as file:
        heard[pipe] = file.read()


def _write(pipe: int, data: bytes) -> None:
    try:
        with os.fdopen(pipe, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass  # it read no more than it wanted


def _attend(channel: socket.socket) -> None:
    """In the process that forks: one order after the other, until nobody holds the other end."""
    import hoopx_cli

    for module in iter_modules(hoopx_cli.__path__):
        if module.name not in COLD:
            import_module(f"hoopx_cli.{module.name}")
    assert threading.active_count() == 1  # a fork has one thread, and no lock of another
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        order, handles, *_ = socket.recv_fds(channel, MAX_ORDER, 4)
        if not order:
            return
        if os.fork() == 0:
            channel.close()
            _see_through(msgspec.json.decode(order, type=_Order), handles)
        for each in handles:
            os.close(each)


def _see_through(order: _Order, handles: list[int]) -> None:
    """In a process between: tell what becomes of the command, as `subprocess` would."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, word = handles
    command = os.fork()
    if command == 0:
        os.close(word)
        _become(order, streams)
    for each in streams:
        os.close(each)
    _, status = os.waitpid(command, 0)
    os.write(word, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(order: _Order, streams: list[int]) -> None:
    from hoopx_cli import main

    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    encoding, failing = sys.stdout.encoding, sys.stdout.errors
    sys.stdin = open(0, encoding=encoding, errors=failing, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, errors=failing, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding, "backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order.environ)
    time.tzset()
    os.chdir(order.folder)
    sys.argv = ["hoopx", *order.arguments]
    main.main()
    sys.exit(0)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as mine:
        _attend(mine)

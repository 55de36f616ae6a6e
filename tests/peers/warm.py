"""`hoopx` without its start: a process that has loaded it once forks for every command and broker of the journeys.

A journey runs a few commands, and Python needs longer to load one than it needs to run. What comes after the start is
the same: arguments, environment, folder, input and output of its own, signals as they are at a start, an exit code.
Tests that are about the process itself (signals, terminals, how it starts) start the installed command; `HOOPX_COLD=1`
makes all of them do so.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal

import msgspec
from msgspec import Struct

from tests.peers import clients
from tests.peers.clients import CLIENT_LIMIT, HOOPX, Outcome, plain_environment

# These are processes of their own: servers, and what starts servers.
COLD = frozenset({"broker", "demo", "__main__"})
MAX_ORDER = 200_000  # a message over a socket
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)

Kind = Literal["command", "broker"]


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
    return _forge("command").run(written, stdin.encode(), limit)


def start_broker(arguments: Sequence[str], environ: Mapping[str, str], said: int) -> Process:
    """`hoopx broker …` that writes to `said`, an open file, and dies with the tests."""
    return _forge("broker").start(msgspec.json.encode(_Order(tuple(arguments), dict(environ), str(Path.cwd()))), said)


def _may_fork(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Variables of the interpreter's own change the start itself; those of packages have a `_` there."""
    is_cold = not warms() or not arguments or arguments[0] in COLD
    return not (is_cold or any(re.match("PYTHON(?!_)", name) for name in environ))


def warms() -> bool:
    return "HOOPX_COLD" not in os.environ


class Process:
    """What forked, as `subprocess.Popen` shows what it started."""

    def __init__(self, word: int) -> None:
        """`word` is where its id comes from, and later its exit code."""
        self._word = word
        self.pid = int(self._hear())
        self.returncode: int | None = None

    def _hear(self) -> bytes:
        """A line; nothing where the process between was killed."""
        heard = b""
        while not heard.endswith(b"\n") and (more := os.read(self._word, 1)):
            heard += more
        return heard

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises `subprocess.TimeoutExpired` after so many seconds."""
        if (code := self._look(timeout)) is None:
            raise subprocess.TimeoutExpired("hoopx broker", timeout or 0)
        return code

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._word], [], [], seconds)[0]:
            self.returncode = int(self._hear() or -signal.SIGKILL)
            os.close(self._word)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Forge:
    """The process that forks. It ends with the process that holds its channel."""

    def __init__(self, kind: Kind) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        atexit.register(self._close)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers.warm", kind, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=plain_environment(),
                cwd=Path(__file__).parents[2],
            )

    def _close(self) -> None:
        self._channel.close()
        self._process.wait()

    def start(self, order: bytes, said: int) -> Process:
        word, its_word = os.pipe()
        with Path(os.devnull).open() as nothing:
            socket.send_fds(self._channel, [order], [nothing.fileno(), said, said, its_word])
        os.close(its_word)
        return Process(word)

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
        _, code = heard[said].split()
        return Outcome(int(code), heard[out].decode(), heard[errors].decode())


@cache
def _forge(kind: Kind) -> _Forge:
    return _Forge(kind)


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


def _load(kind: Kind) -> None:
    import hoopx_cli

    if kind == "broker":
        import_module("hoopx_cli.broker")
        import_module("hoopx_broker.daemon.run")
        return
    for module in iter_modules(hoopx_cli.__path__):
        if module.name not in COLD:
            import_module(f"hoopx_cli.{module.name}")


def _see_through(order: _Order, handles: list[int]) -> None:
    """In a process between: tell what becomes of the command, as `subprocess` would."""
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, word = handles
    command = os.fork()
    if command == 0:
        os.close(word)
        _die_with_parent()
        _become(order, streams)
    os.write(word, f"{command}\n".encode())
    for each in streams:
        os.close(each)
    _, status = os.waitpid(command, 0)
    os.write(word, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _die_with_parent() -> None:
    """Where Linux has it. A fork does not inherit it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


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
    kind, channel = sys.argv[1:]
    with socket.socket(fileno=int(channel)) as mine:
        _load("broker" if kind == "broker" else "command")
        _attend(mine)

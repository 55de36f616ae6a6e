"""Several processes on one port: the first one accepts, starts the others, and starts those again that die.

It forks them, so that all have the very configuration that it has read, and share what is loaded in memory. It runs no
event loop and no thread of its own, and no byte of a connection passes through it.
"""

from __future__ import annotations

import fcntl
import gc
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from hoopx_broker.storage.errors import StateUnusable
from hoopx_broker.tunnel.channel import Broken, Channel, Kind, Message
from hoopx_broker.tunnel.usher import Usher

MAX_WORKERS = 64  # each is a broker of its own on the state, with up to six connections to it
# A worker that lived for less has not come to work; what lived for longer is started again at once.
SOON_SECONDS = 10.0
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)  # before each try after a worker died soon; then it is given up
# Longer than a worker takes to end its sessions, by its own limit.
STOP_SECONDS = 25.0
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FINE = frozenset({0, -signal.SIGTERM, -signal.SIGINT})  # before it has come to work, a signal just ends it

_log = structlog.get_logger()


class Present(Struct, frozen=True):
    """What a worker says when it serves: its id among the brokers on the state, and what people are told of it."""

    broker: str
    ready: str


class Seat(Struct, frozen=True):
    """What a worker is born with. `former` is the id, among brokers, of the one before it on this seat, if any."""

    number: int
    workers: int
    channel: Channel
    is_alone: bool  # at its home when it was born: so is the first one, where no other broker's process is left
    former: str = ""
    births: int = 0  # on this seat before it


class _Born(BaseException):
    """Leaves the loop of the parent, in a child."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat


class _Worker:
    """A seat as the parent sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        self.channel: Channel | None = None
        self.started_at = 0.0
        self.is_ready = False
        self.is_new = True
        self.births = 0
        self.hasty_ends = 0
        self.broker = ""
        self.starts_at: float | None = None


def lead(listening: socket.socket, keys: Path, workers: int) -> Seat | int:
    """Be the parent of so many workers until told to stop: gives its exit code. In each of them: gives its seat.

    Raises `StateUnusable` where `keys` cannot be used.
    """
    is_alone = _is_alone(keys)
    crowd = _Crowd(listening, workers, is_alone=is_alone)
    try:
        return crowd.run()
    except _Born as born:
        return born.seat


def no_worker_is_left(keys: Path) -> bool:
    """Of a broker with workers that was here: it is gone when the last of them is. Raises `OSError`."""
    lock = _workers_lock(keys)
    if lock is not None:
        os.close(lock)
    return lock is not None


def _is_alone(keys: Path) -> bool:
    """The lock is kept, by each worker too."""
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _workers_lock(keys) is not None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StateUnusable(f"`{keys}` cannot be used: {why}", "check the owner of its directory") from error


def _workers_lock(keys: Path) -> int | None:
    """None where somebody has it. Unlike the one of a home, children inherit it."""
    lock = os.open(keys / "workers.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


class _Crowd:
    def __init__(self, listening: socket.socket, workers: int, *, is_alone: bool) -> None:
        self._selector = selectors.DefaultSelector()
        self._workers = [_Worker(number) for number in range(workers)]
        self._usher = Usher(listening, self._selector, workers, self._hand, time.monotonic)
        self._is_alone = is_alone
        self._is_open = False
        self._code = 0
        self._kill_at: float | None = None
        self._heard, self._ring = socket.socketpair()
        self._heard.setblocking(False)  # noqa: FBT003 - as socket has it
        self._ring.setblocking(False)  # noqa: FBT003 - as socket has it

    # The loop.

    def run(self) -> int:
        self._watch_signals()
        self._selector.register(self._heard, selectors.EVENT_READ, self._on_signals)
        self._start(self._workers[0])
        while any(each.pid for each in self._workers) or not self._is_stopping:
            for key, _ in self._selector.select(self._patience()):
                if self._is_there(key):
                    key.data()
            self._usher.look()
            self._start_what_is_due()
            self._kill_what_is_late()
        self._usher.close()
        return self._code

    @property
    def _is_stopping(self) -> bool:
        return self._kill_at is not None

    def _is_there(self, key: selectors.SelectorKey) -> bool:
        """Something else in this very turn may have closed it."""
        return self._selector.get_map().get(key.fd) is key

    def _patience(self) -> float | None:
        times = [each.starts_at for each in self._workers] + [self._usher.next_at(), self._kill_at]
        first = min((at for at in times if at is not None), default=None)
        return None if first is None else max(0.0, first - time.monotonic())

    # Signals.

    def _watch_signals(self) -> None:
        for number in (*_PASSED_ON, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._ring.fileno(), warn_on_full_buffer=False)

    def _on_signals(self) -> None:
        with suppress(BlockingIOError):
            numbers = set(self._heard.recv(4096))
            for number in numbers & set(_PASSED_ON):
                self._stop(signal.Signals(number))
            self._reap()

    # Workers.

    def _start(self, worker: _Worker) -> None:
        ours, theirs = Channel.pair()
        worker.starts_at, worker.started_at, worker.is_ready = None, time.monotonic(), False
        is_alone = self._is_alone and worker.number == 0 and worker.is_new and worker.births == 0
        seat = Seat(worker.number, len(self._workers), theirs, is_alone, worker.broker, worker.births)
        worker.births += 1
        gc.freeze()  # what is loaded by now stays in memory that is shared
        signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            self._leave(ours)
            raise _Born(seat)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_PASSED_ON, signal.SIGCHLD})
        theirs.close()
        worker.pid, worker.channel = pid, ours
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(worker))
        _log.info("worker.started", number=worker.number, pid=pid)

    def _leave(self, ours: Channel) -> None:
        """In a child: let go of all that is the parent's."""
        signal.set_wakeup_fd(-1)
        for number in (*_PASSED_ON, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_PASSED_ON, signal.SIGCHLD})
        self._selector.close()  # not by `unregister`: what is registered is so in the parent too
        self._usher.let_go()
        ours.close()
        for each in self._workers:
            if each.channel is not None:
                each.channel.close()
        self._heard.close()
        self._ring.close()

    def _start_what_is_due(self) -> None:
        for each in self._workers:
            if each.starts_at is not None and each.starts_at <= time.monotonic() and not self._is_stopping:
                self._start(each)

    def _hear(self, worker: _Worker) -> None:
        assert worker.channel is not None
        try:
            messages = worker.channel.receive()
        except Broken:
            self._lose(worker)  # its end is told by the kernel
            return
        for message in messages:
            if message.kind is Kind.PRESENT:
                self._on_present(worker, msgspec.json.decode(message.body, type=Present))
            else:
                self._pass_on(message)

    def _pass_on(self, message: Message) -> None:
        """A question that cannot be passed on is one that nobody answers."""
        to = self._workers[message.to].channel if message.to < len(self._workers) else None
        if to is None or not to.send(message):
            back = self._workers[message.sender].channel
            if message.kind is Kind.QUESTION and back is not None:
                back.send(Message(Kind.NO_ANSWER, message.sender, message.to, message.number))

    def _on_present(self, worker: _Worker, present: Present) -> None:
        worker.broker, worker.is_ready, worker.is_new = present.broker, True, False
        if worker.number == 0 and not self._is_open:
            for each in self._workers[1:]:
                if each.births == 0 and not self._is_stopping:
                    self._start(each)
        if not self._is_open and not self._is_stopping and all(each.is_ready for each in self._workers):
            self._is_open = True
            self._usher.open()
            sys.stderr.write(present.ready)
            sys.stderr.flush()

    def _hand(self, connection: socket.socket, number: int) -> None:
        """To one that is being started too: it takes it when it can. One that takes no more has too much to do."""
        worker = self._workers[number]
        if worker.channel is not None:
            worker.channel.send(Message(Kind.CONNECTION, number, number, connection=connection))
        connection.close()

    def _lose(self, worker: _Worker) -> None:
        channel, worker.channel = worker.channel, None
        if channel is not None:
            self._selector.unregister(channel)
            channel.close()

    # Ends.

    def _reap(self) -> None:
        for each in self._workers:
            if each.pid:
                pid, status = os.waitpid(each.pid, os.WNOHANG)
                if pid:
                    each.pid = 0
                    self._lose(each)
                    self._on_end(each, os.waitstatus_to_exitcode(status))

    def _on_end(self, worker: _Worker, code: int) -> None:
        if self._is_stopping:
            if code not in _FINE:
                self._code = self._code or (code if code > 0 else 1)
            return
        if worker.is_new and not self._is_open:
            # It has said why: what keeps one from starting is wrong for all of them.
            self._code = code if code > 0 else 1
            self._stop(signal.SIGTERM)
            return
        is_hasty = time.monotonic() - worker.started_at < SOON_SECONDS
        worker.hasty_ends = worker.hasty_ends + 1 if is_hasty else 0
        _log.error("worker.died", number=worker.number, code=code)
        if worker.hasty_ends >= len(PAUSES):
            sys.stderr.write(
                f"hoopx broker ends: worker {worker.number} died {worker.hasty_ends} times at once; the log says more\n"
            )
            sys.stderr.flush()
            self._code = 1
            self._stop(signal.SIGTERM)
            return
        worker.starts_at = time.monotonic() + PAUSES[worker.hasty_ends]

    def _stop(self, number: signal.Signals) -> None:
        if not self._is_stopping:
            self._kill_at = time.monotonic() + STOP_SECONDS
            self._usher.close()
        # A worker that is hung up on would not take its time to end what it has.
        passed_on = signal.SIGTERM if number == signal.SIGHUP else number
        for each in self._workers:
            each.starts_at = None
            if each.pid:
                os.kill(each.pid, passed_on)

    def _kill_what_is_late(self) -> None:
        if self._kill_at is None or time.monotonic() < self._kill_at:
            return
        self._kill_at = time.monotonic() + STOP_SECONDS
        for each in self._workers:
            if each.pid:
                _log.error("worker.killed", number=each.number, why="it has not stopped in time")
                self._code = 1
                os.kill(each.pid, signal.SIGKILL)

"""Rounds: a fresh session under load, killed at a random moment; then nothing may be missing from its recording.

Two laws, against what the killed process cannot have told: each statement that the server's own log shows as begun has
its entry, and so has each row that a client has read.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
from msgspec import Struct, field

from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import moments
from hoopx_broker.recording.verify import verify
from hoopx_broker.terms.entries import Executed, Rows, Statement
from tests.kills.victim import Life, live
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

CLIENTS = 4
USERS = ("kills_0", "kills_1")  # in turn: the backends of one are gone before it comes again
LONGEST = 0.15  # seconds from the first answer, or in some rounds from the first connection, to the kill
EARLY = 0.1  # the share of those rounds

# By whom the server is asked, so that the log of one round is told from all others'.
_MARK = re.compile(r"/\*(k\d+-\d+-\d+)\*/")
_CELL = re.compile(rb"k\d+-\d+-\d+\.\d+")


Victim = Callable[[Life, Connection], None]


class LawBroken(AssertionError):
    """Something was done, or shown, that is not on record."""


class Witnessed(Struct):
    """What was seen of one round from outside: statements that the server began, and cells that clients read."""

    begun: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    answered: threading.Event = field(default_factory=threading.Event)


class Moment(Struct, frozen=True):
    """When the kill comes: so many seconds after the clients have begun, or after the first of them has an answer."""

    seconds: float
    after_an_answer: bool

    def await_on(self, seen: Witnessed) -> None:
        if self.after_an_answer:
            seen.answered.wait(30)
        time.sleep(self.seconds)


class Round(Struct, frozen=True):
    """One kill."""

    number: int
    moment: Moment
    life: Life


class Tally(Struct):
    """Over all rounds."""

    rounds: int = 0
    begun: int = 0
    read: int = 0
    torn: int = 0
    empty: int = 0


def run(
    server: Postgres, place: Path, rounds: int, seed: int, tell: Callable[[str], None], victim: Victim = live
) -> Tally:
    """Raises `LawBroken` at the first round that breaks one."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.victim"])
    chance, tally = random.Random(seed), Tally()
    EvidenceKey.load_or_create(place / "evidence.key", "kills")
    for number in range(rounds):
        moment = Moment(chance.uniform(0, LONGEST), after_an_answer=chance.random() > EARLY)
        _round(Round(number, moment, _life(server, place, number)), server, context, victim, tally)
        if number % 100 == 99:
            tell(
                f"{number + 1} rounds: {tally.begun} statements begun, {tally.read} cells read, {tally.torn} torn ends"
            )
    return tally


def _life(server: Postgres, place: Path, number: int) -> Life:
    user = USERS[number % len(USERS)]
    key, recordings = place / "evidence.key", place / "recordings"
    return Life(server.host, server.port, server.database, user, user, f"s_kill{number}", recordings, key)


def _round(this: Round, server: Postgres, context: ForkServerContext, victim: Victim, tally: Tally) -> None:
    since, seen = server.log_position(), Witnessed()
    with _victim(context, victim, this.life) as (port, kill), _clients(port, this.number, seen):
        this.moment.await_on(seen)
        kill()
    eventually(lambda: not server.backends(this.life.user), f"the server has noticed the end of round {this.number}")
    seen.begun |= set(_MARK.findall(server.log(since)))
    _judge(this.life, this.number, seen, tally)


@contextmanager
def _victim(context: ForkServerContext, victim: Victim, life: Life) -> Iterator[tuple[int, Callable[[], None]]]:
    ready, says = context.Pipe(duplex=False)
    process = context.Process(target=victim, args=(life, says))
    process.start()
    try:
        assert ready.poll(30), "the victim did not come up"
        yield ready.recv(), process.kill
    finally:
        process.kill()
        process.join()
        ready.close()
        says.close()


@contextmanager
def _clients(port: int, number: int, seen: Witnessed) -> Iterator[None]:
    clients = [
        threading.Thread(target=_client, args=(port, number, which, seen), daemon=True) for which in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.join(30)


def let_in(server: Postgres) -> None:
    """Make the users that the victims log in as."""
    for user in USERS:
        server.sql(f"CREATE ROLE {user} LOGIN PASSWORD '{user}' IN ROLE app_read")


def _client(port: int, number: int, which: int, seen: Witnessed) -> None:
    """Ask until the connection breaks: simple, extended and prepared in turn, some of them with many rows."""
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(f"host=127.0.0.1 port={port} user=ann dbname=app sslmode=disable", autocommit=True) as talk,
    ):
        for step in range(1_000_000):
            mark = f"k{number}-{which}-{step}"
            many = 400 if step % 5 == 4 else 2
            text = f"/*{mark}*/ SELECT '{mark}.' || n FROM generate_series(1, {many}) n"
            if step % 3 == 0:
                found = psycopg.ClientCursor(talk).execute(text.encode()).fetchall()
            else:
                found = talk.execute(text.encode(), prepare=step % 3 == 2).fetchall()
            seen.read |= {cell for (cell,) in found}
            seen.answered.set()


def _judge(life: Life, number: int, seen: Witnessed, tally: Tally) -> None:
    path = life.recordings / f"{life.session}.hoopx"
    key = EvidenceKey.load_or_create(life.key, "kills")
    repaired = Recorder.repair(path, key)
    proof = verify(path, key.verifier)
    if not proof.unfinished:
        raise LawBroken(f"round {number}: nobody ended it, and its seal says that somebody did")
    told, shown = _recorded(path)
    if missing := seen.begun - told:
        raise LawBroken(f"round {number}: the server began what is not on record: {sorted(missing)[:3]}")
    if missing := seen.read - shown:
        raise LawBroken(f"round {number}: a client has read what is not on record: {sorted(missing)[:3]}")
    tally.rounds += 1
    tally.begun += len(seen.begun)
    tally.read += len(seen.read)
    tally.torn += repaired.cut > 0
    tally.empty += not seen.begun
    path.unlink()


def _recorded(path: Path) -> tuple[set[str], set[str]]:
    """Marks of statements on record as going to the server, and cells on record as shown."""
    told: set[str] = set()
    shown: set[str] = set()
    parsed: dict[tuple[str, int], str] = {}
    with path.open("rb") as file:
        for _, entry in moments(file):
            match entry:
                case Statement():
                    marks = _MARK.findall(entry.text)
                    told.update(marks)
                    for mark in marks:
                        parsed[entry.stream, entry.n] = mark
                case Executed():
                    told.add(parsed.get((entry.stream, entry.statement), ""))
                case Rows():
                    shown.update(cell.decode() for cell in _CELL.findall(entry.data))
                case _:
                    pass
    return told, shown

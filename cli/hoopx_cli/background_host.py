"""The process that holds sessions open behind the terminal: what it is to open comes by its standard input.

Nothing of it stands in its arguments but the names of the targets. It says what there is to say where it was started,
until the sessions are open; from then on into a log, and it answers whoever asks by a socket.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import Open
from hoopx_cli import front, output, sockets, vigil
from hoopx_cli.access import Access
from hoopx_cli.backgrounds import Ask, Claim, Gone, Report
from hoopx_cli.connect import announce
from hoopx_cli.doors import Door
from hoopx_cli.kit import Kit
from hoopx_cli.main import sheltered
from hoopx_cli.output import Form, Output
from hoopx_cli.print_forms import Print
from hoopx_cli.printed import lines
from hoopx_cli.rundir import folder_of, name_of
from hoopx_cli.settings import Flags
from hoopx_cli.signals import Signals

# What ends the data for whoever started it: no text has it.
READY = b"\0"
# A line for each thing that a person would have been told; a broker that says more fills no disk.
MAX_LOG = 1_000_000
MAX_ASK = 1_000
ASK_SECONDS = 5.0


class Work(Struct, frozen=True):
    """What to open, as whom, and how to print it."""

    orders: list[Open]
    broker: str
    port: int | None = None
    file: str | None = None
    ca: str | None = None
    account: str | None = None
    form: str = Form.TABLE.value
    what: str = Print.ALL.value
    is_quiet: bool = False
    is_verbose: bool = False


class Log(io.TextIOBase):
    """A private file for what would have been said in the terminal."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace")
        self._room = MAX_LOG

    def write(self, text: str) -> int:
        if self._room > 0:
            self._file.write(text)
            self._file.flush()
        self._room -= len(text)
        return len(text)


class Desk:
    """Answers for one session."""

    def __init__(self, kit: Kit, claim: Claim, target: str, signals: Signals) -> None:
        self._kit = kit
        self._claim = claim
        self._target = target
        self._signals = signals
        self._answering: set[asyncio.Task[None]] = set()
        self._held: front.AnyHeld | None = None
        self._server: asyncio.Server | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        self._server = await asyncio.start_unix_server(self._meet, sock=self._claim.socket)
        try:
            yield
        finally:
            self._retire()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    await asyncio.gather(*self._answering, return_exceptions=True)

    def hold(self, held: front.AnyHeld) -> None:
        """The session is open. When it ends, nobody finds it any more."""
        self._held = held
        held.ending.first(self._retire)

    def _retire(self) -> None:
        self._claim.release()
        if self._server is not None:
            self._server.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            if sockets.peer_uid(writer.get_extra_info("socket")) == os.geteuid():
                async with asyncio.timeout(ASK_SECONDS):
                    ask = msgspec.json.decode((await reader.readline())[:MAX_ASK], type=Ask)
                writer.write(msgspec.json.encode(await self._answer(ask)))
                await writer.drain()
        except (OSError, ValueError):
            pass  # whoever asked is gone, or made no sense
        finally:
            self._answering.discard(task)
            writer.close()

    async def _answer(self, ask: Ask) -> Report | Gone:
        match ask.what:
            case "report":
                return self._report()
            case "end":
                return await self._end()

    async def _end(self) -> Gone:
        held = self._held
        if held is None:
            self._signals.take(int(signal.SIGTERM))
            return Gone(self._target, "", is_sure=True)
        await held.close()
        ended = await held.session.over() if held.session.is_over else None
        return Gone(self._target, held.session.opened.session, is_sure=ended is not None)

    def _report(self) -> Report:
        login = self._kit.caller.login
        report = Report(
            self._target, self._kit.settings.broker, "opening", os.getpid(), login.user if login is not None else ""
        )
        held = self._held
        if held is None:
            return report
        session, counts = held.session, held.session.counts
        return msgspec.structs.replace(
            report,
            state="lost" if session.is_lost else "open",
            session=session.opened.session,
            kind=session.opened.kind,
            address=_address(held),
            expires_at=session.expires_at,
            connections=held.listener.streams if isinstance(held, front.Held) else 0,
            statements=counts.statements,
            denied=counts.denied,
            masked=counts.masked,
            waiting=counts.waiting,
            forms=_forms(held),
        )


def main() -> None:
    """The entry point of the process."""
    out = output.of_process(os.environ)
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    sys.exit(sheltered(lambda: hold(work, os.environ, out), out, os.environ))


def hold(work: Work, environ: Mapping[str, str], out: Output) -> int:
    out.form, out.is_quiet, out.is_verbose = Form(work.form), work.is_quiet, work.is_verbose
    kit = Kit(environ, out)
    kit.flags = Flags(work.broker, work.ca, work.account)
    with ExitStack() as claimed:
        claims = []
        for order in work.orders:
            claims.append(Claim(kit.settings.home, work.broker, order.target))
            claimed.callback(claims[-1].release)
        return _hold(kit, work, claims)


def _hold(kit: Kit, work: Work, claims: Sequence[Claim]) -> int:
    entrance = front.entrance_of(kit)
    door = Door(work.port, Path(work.file) if work.file else None)

    async def stay(stack: AsyncExitStack, signals: Signals) -> int:
        both = zip(work.orders, claims, strict=True)
        desks = [Desk(kit, claim, order.target, signals) for order, claim in both]
        for desk in desks:
            await stack.enter_async_context(desk.serving())
        held = await front.hold_all(stack, entrance, work.orders, door)
        for one, desk in zip(held, desks, strict=True):
            desk.hold(one)
        announce(kit, held, Print(work.what))
        _leave_terminal(kit.out, folder_of(kit.settings.home) / f"{name_of(work.broker, work.orders[0].target)}.log")
        return await vigil.watch(kit.out, held)

    return front.run(kit.out, stay)


def _leave_terminal(out: Output, log: Path) -> None:
    """Whoever started it goes on: everything is open. Where nobody waits for that any more, this ends it."""
    out.lead_to(Log(log))
    out.raw(READY)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)


def _address(held: front.AnyHeld) -> str:
    if not isinstance(held, front.Held):
        return held.access.endpoint.url
    access = held.access
    return str(access.socket) if access.socket is not None else f"{access.host}:{access.port}"


def _forms(held: front.AnyHeld) -> dict[str, list[str]]:
    """Of those that there are."""
    is_file = isinstance(held.access, Access) and held.access.password is None
    is_account = not isinstance(held.access, Access)
    lacking = {Print.JDBC} if is_file else {Print.URL, Print.PSQL, Print.JDBC} if is_account else set()
    return {what.value: lines(held.access, what) for what in Print if what not in lacking}


if __name__ == "__main__":
    main()

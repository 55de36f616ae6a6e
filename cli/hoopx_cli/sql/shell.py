"""The prompt of `hoopx sql`: statements and helpers one after the other, until one leaves or the session ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_cli.access import environment
from hoopx_cli.output import moment
from hoopx_cli.sql import backslash, catalogue
from hoopx_cli.sql.completion import Names
from hoopx_cli.sql.happenings import Rows
from hoopx_cli.sql.link import Link, LinkLost, why_lost
from hoopx_cli.sql.programs import Paging, edited
from hoopx_cli.sql.prompt import LEAVING, Abandoned, Prompt
from hoopx_cli.sql.statements import statements_in
from hoopx_cli.sql.visit import Visit, Work
from hoopx_cli.vigil import STATUS_SECONDS, Warnings

T = TypeVar("T")

# After these there may be other names.
_CHANGES = ("CREATE", "ALTER", "DROP", "SET", "DISCARD", "IMPORT")


class SessionOver(Exception):
    """There is nothing more to do here."""


def shell(home: Path, environ: Mapping[str, str]) -> Work:
    """Stays until one leaves: that is 0. Raises a `HoopxError` where the session ends before."""

    async def work(visit: Visit) -> int:
        async with AsyncExitStack() as stack:
            return await _Shell(visit, home, environment(environ, []), stack).stay()

    return work


class _Shell:
    def __init__(self, visit: Visit, home: Path, environ: Mapping[str, str], stack: AsyncExitStack) -> None:
        self._visit = visit
        self._environ = environ
        self._out = visit.out
        self._stack = stack
        self._names = Names()
        self._last = self._draft = ""
        visit.runner.outlet = Paging(sys.stdout.fileno(), environ, visit.out)
        self._prompt = Prompt(visit.out, home, visit.session.opened.target, self._names)
        self._reading: asyncio.Task[None] | None = None
        self._over = asyncio.ensure_future(visit.session.over())

    async def stay(self) -> int:
        self._welcome()
        self._read_names()
        self._stack.push_async_callback(self._stop_reading)
        self._stack.callback(self._over.cancel)
        self._stack.callback(asyncio.get_running_loop().create_task(self._warn_of_the_end()).cancel)
        while True:
            try:
                with self._out.telling(self._prompt.tell):
                    draft, self._draft = self._draft, ""
                    typed = await _unless(self._over, self._prompt.ask(self._visit.link.state, draft))
                if not await self._do(typed):
                    return 0
            except Abandoned:
                continue
            except EOFError:
                return 0
            except BadInput as error:
                self._out.error(error.message, error.hint)
            except SessionOver:
                raise await why_lost(self._visit.session, LinkLost("the session is over")) from None
            except LinkLost as lost:
                await self._connect_anew(lost)

    def _welcome(self) -> None:
        opened = self._visit.session.opened
        self._out.say(f"session {opened.session} with `{opened.target}` is open until {moment(opened.expires_at)}")
        if opened.masked:
            self._out.say(f"masked: {', '.join(opened.masked)}")
        if self._visit.session.is_glass:
            self._out.insist("GLASS BROKEN: this session is reviewed")
        if complaint := self._prompt.history.complaint:
            self._out.say(f"there is no history: {complaint}")
        self._out.say("statements end with `;` · \\? for help · Ctrl-D leaves")

    async def _warn_of_the_end(self) -> None:
        warnings = Warnings(self._out)
        while True:
            warnings.look(self._visit.session, time.time())
            await asyncio.sleep(STATUS_SECONDS)

    async def _do(self, typed: str) -> bool:
        """False where it says to leave."""
        stripped = typed.strip()
        word = stripped.rstrip(";").lower()
        if word in LEAVING:
            return False
        if stripped.startswith("\\") or word == "help":
            helper, _, name = ("\\?" if word == "help" else stripped).partition(" ")
            name = name.strip().rstrip(";")
            if helper == "\\e":
                self._draft = await edited(self._last, name, self._environ, self._out, self._visit.signals)
                return True
            return await backslash.help_(self._visit, helper, name)
        self._last = stripped or self._last
        for each in statements_in(typed):
            ran = await self._visit.runner.run(self._visit.link, each.text)
            if ran.tag.startswith(_CHANGES):
                self._read_names()
            if ran.code:
                break
        return True

    async def _connect_anew(self, lost: LinkLost) -> None:
        """The connection broke. Where the session goes on, so does the prompt."""
        if self._over.done():
            raise await why_lost(self._visit.session, lost) from None
        self._out.insist(lost.message)
        self._visit.link.close()
        link = Link(self._visit.session)
        try:
            await link.start()
        except LinkLost as again:
            raise await why_lost(self._visit.session, again) from None
        self._stack.callback(link.close)
        self._visit = replace(self._visit, link=link)
        self._out.insist("connected again; what was not committed is lost")

    # -- names for TAB

    def _read_names(self) -> None:
        """By a connection of its own and beside what is typed: nobody waits, and no transaction is touched."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        link = Link(self._visit.session)
        found: list[tuple[str, str, str, bool]] = []
        # Without names there is no TAB; what is wrong is said by the connection that one works with.
        with suppress(HoopxError):
            try:
                await link.start()
                async for happening in link.run(catalogue.NAMES):
                    if isinstance(happening, Rows):
                        found += [_names(row) for row in happening.rows]
            finally:
                link.close()
            self._names.learn(found)

    async def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


def _names(row: list[bytes | None]) -> tuple[str, str, str, bool]:
    schema, table, column, visible = ((cell or b"").decode(errors="backslashreplace") for cell in row)
    return schema, table, column, visible == "t"


async def _unless(over: asyncio.Future[Any], asked: Coroutine[Any, Any, T]) -> T:
    """What is asked for. Raises `SessionOver` where that comes first."""
    asking = asyncio.ensure_future(asked)
    try:
        await asyncio.wait({asking, over}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise SessionOver
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    return asking.result()

"""Visit one database: open a session, connect through its tunnel, do what is asked there, and leave nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_cli import front
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from hoopx_cli.session import Session, open_session
from hoopx_cli.signals import Signals
from hoopx_cli.sql import pipes
from hoopx_cli.sql import script as scripts
from hoopx_cli.sql.link import Link, linked
from hoopx_cli.sql.running import Data, Runner

# The kinds of databases that this speaks. Another one brings a link of its own, a splitter and a catalogue.
SPOKEN = frozenset({"postgres"})

# A refusal comes as the statement's own error too.
UNTOLD = frozenset({"denied"})


class Visit(Struct, frozen=True):
    """What is there to work with."""

    out: Output
    session: Session
    link: Link
    runner: Runner
    signals: Signals


Work = Callable[[Visit], Awaitable[int]]


def pay(kit: Kit, order: Open, work: Work) -> int:
    """Returns the exit code. Whatever happens, the session ends with it."""
    entrance = replace(front.entrance_of(kit), untold=UNTOLD)

    async def main(stack: AsyncExitStack, signals: Signals) -> int:
        session = await stack.enter_async_context(open_session(entrance, order))
        opened = session.opened
        if opened.kind not in SPOKEN:
            hint = f"`hoopx show {opened.target}` tells what it is"
            raise BadInput(f"`{opened.target}` is of kind `{opened.kind}`, where hoopx runs no SQL", hint)
        kit.out.detail(f"session {opened.session} is open, allowed by {', '.join(opened.rules) or 'no named rule'}")
        async with linked(session) as link:
            runner = Runner(kit.out, pipes.Outlet(sys.stdout.fileno()), signals, order.wait)
            return await work(Visit(kit.out, session, link, runner, signals))

    return front.run(kit.out, main)


def script(rules: scripts.Rules, text: str | None) -> Work:
    """Run what is given on the command line, else what standard input says."""
    source = None if text is None else scripts.Text(text, _given_data())
    if rules.parameters is not None and (source is None or source.count > 1):
        raise BadInput("parameters are those of one statement", "hoopx sql prod-db 'select $1::int' --param 1")

    async def work(visit: Visit) -> int:
        what = source if source is not None else scripts.Script(pipes.lines(sys.stdin.fileno()))
        return await scripts.run(visit.runner, visit.link, what, rules, visit.out)

    return work


def _given_data() -> Data | None:
    """What a COPY on the command line reads: a file or a pipe, never what somebody types."""
    return None if sys.stdin is None or sys.stdin.isatty() else pipes.chunks(sys.stdin.fileno())

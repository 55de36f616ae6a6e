"""Stay in front of open sessions: open them, let them be used, and end every one of them whatever happens."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from hoopx_broker.api.messages import Ended, Open
from hoopx_broker.terms.errors import BackendFailed, BadInput, HoopxError, Unreachable
from hoopx_broker.tunnel.client import Broker
from hoopx_cli import child as child_room
from hoopx_cli import key_endpoint, key_socket, vigil
from hoopx_cli.access import Access, environment
from hoopx_cli.aws_access import AwsAccess, aws_environment
from hoopx_cli.aws_config import config_of, file_in, own_config
from hoopx_cli.diary import COMMAND, FAILED, SESSION, SIGNAL, TIMEOUT, Diary
from hoopx_cli.doors import Door, opened_door
from hoopx_cli.durations import spoken
from hoopx_cli.kit import Kit
from hoopx_cli.listener import Listener, listening
from hoopx_cli.output import Output, moment
from hoopx_cli.pg_service import password_kept, sweep
from hoopx_cli.session import Entrance, Session, open_session
from hoopx_cli.signals import Signals, caught

# The kinds of targets that have a local socket.
SPOKEN = frozenset({"postgres"})
# The kind whose keys the laptop holds itself.
AWS = "aws"


class Ending:
    """All that one session has here, ended once: whoever asks again waits for it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._lock = asyncio.Lock()

    def first(self, act: Callable[[], object]) -> None:
        """Before anything else of it ends."""
        self._stack.callback(act)

    async def close(self) -> None:
        async with self._lock:
            await self._stack.aclose()


class Held(Struct, frozen=True):
    """An open session of a database, its local socket, and how to reach it."""

    session: Session
    listener: Listener
    access: Access
    ending: Ending

    def told(self) -> str:
        """For the status line."""
        return _counted(self.listener.streams)

    async def close(self) -> None:
        await self.ending.close()


class HeldAws(Struct, frozen=True):
    """An open session of an AWS account, and how its keys are come by."""

    session: Session
    access: AwsAccess
    ending: Ending

    async def close(self) -> None:
        await self.ending.close()

    def told(self) -> str:
        """For the status line."""
        keys = self.access.newest()
        return "no keys" if keys is None else f"keys until {moment(keys.expires_at)}"


AnyHeld = Held | HeldAws
Use = Callable[[Sequence[AnyHeld], Signals], Awaitable[int]]
# Returns the exit code; what it puts on the stack is ended behind it.
Main = Callable[[AsyncExitStack, Signals], Awaitable[int]]


def stay(kit: Kit, orders: Sequence[Open], door: Door, use: Use, diary: Diary | None = None) -> int:
    """Open a session for each order, `use` them, end them; returns the exit code."""
    told, entrance = diary or Diary(), entrance_of(kit)

    async def hold_and_use(stack: AsyncExitStack, signals: Signals) -> int:
        return await use(await hold_all(stack, entrance, orders, door, told), signals)

    try:
        code = run(kit.out, hold_and_use, told)
    except HoopxError as error:
        told.because(FAILED, error.message)
        told.ended(int(error.exit_code))
        raise
    told.ended(code)
    return code


def entrance_of(kit: Kit) -> Entrance:
    sweep(kit.settings.home)
    broker = Broker(kit.settings.broker, kit.tunnel_tls)
    return Entrance(kit.settings, broker, kit.credential(), kit.credential, kit.out, kit.take_back)


async def hold_all(
    stack: AsyncExitStack, entrance: Entrance, orders: Sequence[Open], door: Door, diary: Diary | None = None
) -> list[AnyHeld]:
    """All or none, and all at the same time, so that people are asked for each at once.

    Where one does not open, or ends before the others are open, what was open ends with the stack.
    """
    told = diary or Diary()
    guards: list[asyncio.Task[None]] = []

    async def hold(group: asyncio.TaskGroup, order: Open) -> AnyHeld:
        held = await _hold(stack, entrance, order, door, told)
        guards.append(group.create_task(_demand_it_lasts(held)))
        return held

    try:
        async with asyncio.TaskGroup() as group:
            opening = [group.create_task(hold(group, order)) for order in orders]
            all_held = [await one for one in opening]
            for guard in guards:
                guard.cancel()
    except BaseExceptionGroup as errors:
        raise _first_of(errors) from None
    return all_held


def run(out: Output, main: Main, diary: Diary | None = None) -> int:
    """Run `main` to its end, or to an orderly end at a signal; what it has put on the stack ends in any case."""
    # What the tunnel's libraries have to say is said by our own errors; their loggers would print beside them.
    for library in ("picows", "aiofastnet"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.get_loop().set_exception_handler(_unless_told)
        return runner.run(_orderly(out, main, diary or Diary()))


def _unless_told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A handshake that was cut is an error of whoever wanted the connection; the loop would print it, too."""
    if context.get("message") != "SSL handshake failed":
        loop.default_exception_handler(context)


def run_child(kit: Kit, command: Sequence[str], diary: Diary | None = None, limit: int = 0) -> Use:
    """Use the sessions by one child; its exit code is ours. `limit` is how many seconds it may run; 0 is none."""
    told = diary or Diary()

    async def use(held: Sequence[AnyHeld], signals: Signals) -> int:
        told.because(FAILED, "the command could not be started")

        async def until(child: child_room.Child) -> int:
            told.because(COMMAND, "")
            told.ready(child.pid, (one.access.target for one in held))
            return await _until_over(child, held, kit.out, told, limit)

        with ExitStack() as files:
            return await attend_child(kit.out, signals, command, environment_of(kit, held, files), until)

    return use


def environment_of(kit: Kit, held: Sequence[AnyHeld], files: ExitStack) -> dict[str, str]:
    """A child's. What it refers to is on disk as long as `files` lasts, and holds no secret."""
    databases = [one.access for one in held if isinstance(one, Held)]
    accounts = [one.access for one in held if isinstance(one, HeldAws)]
    environ = environment(kit.environ, databases)
    if not accounts:
        return environ
    folder = Path(files.enter_context(TemporaryDirectory(prefix="hoopx-")))
    text = config_of(own_config(environ), {one.target: one.region for one in accounts}, credentials_command(kit))
    return aws_environment(environ, accounts, str(file_in(folder, text)))


def credentials_command(kit: Kit) -> list[str]:
    """The way back to us, which knows the broker whatever the child's environment says."""
    return [sys.executable, "-P", "-m", "hoopx_cli", "credentials", "--broker", kit.settings.broker]


async def attend_child(
    out: Output,
    signals: Signals,
    command: Sequence[str],
    environ: Mapping[str, str],
    until: Callable[[child_room.Child], Awaitable[int]],
) -> int:
    """Start a child and wait as `until` says; it is over afterwards. Returns its exit code, or why it did not start."""
    try:
        child = child_room.start(command, environ, signals.rest)
    except child_room.NotStarted as error:
        out.error(error.message, error.hint)
        return error.code
    try:
        with signals.handed_to(child.forward, rests=True):
            return await until(child)
    finally:
        await child.stop()


async def _orderly(out: Output, main: Main, diary: Diary) -> int:
    code: int | None = None
    with caught() as signals:
        try:
            async with AsyncExitStack() as stack:
                code = await main(stack, signals)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            out.status("")
            diary.because(SIGNAL, signal.Signals(signals.received).name)
    # A signal after the child's end only hastens the goodbye: the child's own code stands.
    return code if code is not None else 128 + (signals.received or 0)


async def _demand_it_lasts(held: AnyHeld) -> None:
    """Until the others are open. Raises `BackendFailed` or `Unreachable` where it ends first."""
    ended = await held.session.over()
    if ended is None:
        raise Unreachable("the broker was lost before all sessions were open", "try again when it is back")
    message = f"the session with `{held.access.target}` ended before all were open: {ended.reason}"
    raise BackendFailed(message, "try again")


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The others failed because of it, or in the same moment."""
    first = errors.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _hold(outer: AsyncExitStack, entrance: Entrance, order: Open, door: Door, diary: Diary) -> AnyHeld:
    """The socket first: a port that is taken is known before anybody is asked for an approval."""
    out, stack = entrance.out, await outer.enter_async_context(AsyncExitStack())
    with ExitStack() as doorway:
        place = opened_door(doorway, entrance.settings, order.target, out.insist, door)
        asked = partial(diary.waiting, order.target)
        session = await stack.enter_async_context(open_session(entrance, order, asked))
        opened = session.opened
        if opened.kind == AWS:
            keys = await _hold_keys(stack, entrance, session, door)
            diary.opened(opened)
            return keys
        demand_spoken(opened.target, opened.kind)
        stack.push(doorway.pop_all())
    listener = Listener(session.dial, place.password, out.say)
    await stack.enter_async_context(listening(place.socket, listener))
    out.detail(f"session {opened.session} is open, allowed by {', '.join(opened.rules) or 'no named rule'}")
    access = place.access(opened.target, opened.session, opened.database, opened.expires_at)
    stack.enter_context(password_kept(entrance.settings, access))
    diary.opened(opened)
    return Held(session, listener, access, Ending(stack))


async def _hold_keys(stack: AsyncExitStack, entrance: Entrance, session: Session, door: Door) -> HeldAws:
    opened, out = session.opened, entrance.out
    if door != Door():
        message = f"`{opened.target}` is of kind `{AWS}`, which has no local socket of its own"
        raise BadInput(message, "leave out --port and --socket")
    keys = await session.keys()
    out.detail(f"session {opened.session} is open, allowed by {', '.join(opened.rules) or 'no named rule'}")
    endpoint = await stack.enter_async_context(key_endpoint.serving(session.newest_keys))
    try:
        await stack.enter_async_context(key_socket.serving(entrance.settings, opened.target, session.newest_keys))
    except BadInput as error:  # another hoopx holds it open, perhaps: its keys are given then
        out.insist(f"`hoopx credentials {opened.target}` does not lead here: {error.message}")
    access = AwsAccess(opened.target, opened.session, keys.region, opened.expires_at, session.newest_keys, endpoint)
    return HeldAws(session, access, Ending(stack))


def demand_spoken(target: str, kind: str) -> None:
    """Raises `BadInput` for a kind of target that this hoopx has no local socket for."""
    if kind not in SPOKEN:
        raise BadInput(f"`{target}` speaks {kind}, which this hoopx does not", "update hoopx")


def demand_database(held: AnyHeld) -> Held:
    """Raises `BadInput` for what has no columns."""
    if not isinstance(held, Held):
        raise BadInput(f"`{held.access.target}` is no database", "`hoopx ls` tells the kinds of targets")
    return held


async def _until_over(child: child_room.Child, held: Sequence[AnyHeld], out: Output, diary: Diary, limit: int) -> int:
    """The child's end, or the end of its time or of any session that it stands on: then it is stopped."""
    done = asyncio.ensure_future(child.wait())
    overs = {asyncio.ensure_future(one.session.over()): one for one in held}
    warning = asyncio.ensure_future(vigil.warn_of_end(out, held))
    try:
        finished, _ = await asyncio.wait([done, *overs], return_when=asyncio.FIRST_COMPLETED, timeout=limit or None)
    finally:
        warning.cancel()
    if done in finished:
        return await done
    if not finished:
        _tell_why(
            out, diary, TIMEOUT, f"the command is stopped: it ran for {spoken(limit)}, as long as --timeout lets it"
        )
        await child.stop()
        return child_room.TIMED_OUT
    for over in overs.keys() & finished:
        _tell_why(out, diary, SESSION, f"the session with `{overs[over].access.target}` ended: {_reason(await over)}")
    return await child.stop()


def _tell_why(out: Output, diary: Diary, why: str, message: str) -> None:
    out.insist(message)
    diary.because(why, message)


def _counted(streams: int) -> str:
    return "1 connection" if streams == 1 else f"{streams} connections"


def _reason(ended: Ended | None) -> str:
    return "the broker was lost" if ended is None else ended.reason


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop

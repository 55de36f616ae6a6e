"""One session as the laptop sees it: asked for, perhaps waited for, open, and ended for sure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from hoopx_broker.api.messages import Counts, Ended, Event, Keys, Open, Opened, Refusal, Renew, Waiting
from hoopx_broker.terms.errors import BackendFailed, HoopxError, Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import (
    SESSION,
    STREAM,
    Broker,
    Near,
    Stream,
    UpgradeRefused,
    open_control,
    open_stream,
)
from hoopx_cli import trust
from hoopx_cli.awaiting import OPENING_SECONDS, Awaiting, TakeBack
from hoopx_cli.credential import Credential
from hoopx_cli.key_ring import HeldKeys
from hoopx_cli.output import Output, moment
from hoopx_cli.refusals import error_in, error_of
from hoopx_cli.settings import Settings
from hoopx_cli.staying import renewals
from hoopx_cli.tether import Tether

# The broker revokes within seconds; it goes on by itself when we stop waiting.
GOODBYE_SECONDS = 10


# The kind of event that tells that nobody was asked.
BROKEN_GLASS = "broken-glass"

OnWaiting = Callable[[Waiting], None]


def _nobody_else(_: Waiting) -> None:
    """Hears that people are asked where they are told of it anyway."""


class Entrance(Struct, frozen=True):
    """What every session of one command shares: the broker, the identity, and where to tell people things.

    `fresh` gives the identity's credential anew, renewed where it is near its end. `take_back` cancels a request that
    was filed for a session which nobody wants any more; without, such requests stand. `untold` are kinds of events that
    the command hears of in another way, and tells itself.
    """

    settings: Settings
    broker: Broker
    credential: Credential
    fresh: Callable[[], Credential]
    out: Output
    take_back: TakeBack | None = None
    untold: frozenset[str] = frozenset()


class Session:
    """An open session. It follows what the broker says of it until one of the two ends it."""

    def __init__(self, entrance: Entrance, tether: Tether, opened: Opened, *, is_glass: bool = False) -> None:
        self.opened = opened
        self.expires_at = opened.expires_at  # a session may be given more time
        self.is_glass = is_glass  # it went through at once, and is reviewed
        self.counts = Counts()
        self._entrance = entrance
        self._tether = tether
        self._keys: HeldKeys | None = None
        self._has_keys = asyncio.Event()
        self._follower = asyncio.get_running_loop().create_task(self._follow())

    @property
    def is_lost(self) -> bool:
        """Is the broker looked for just now?"""
        return self._tether.is_lost

    @property
    def is_over(self) -> bool:
        return self._follower.done()

    async def over(self) -> Ended | None:
        """Waits for the end and says how the broker gave it; None when the broker was lost."""
        return await asyncio.shield(self._follower)

    def newest_keys(self) -> HeldKeys | None:
        """Those that the broker handed out last; None when the session is over."""
        return None if self._follower.done() else self._keys

    async def keys(self) -> HeldKeys:
        """Waits for the first. Raises `BackendFailed` where the session ends without."""
        first = asyncio.ensure_future(self._has_keys.wait())
        await asyncio.wait({first, self._follower}, return_when=asyncio.FIRST_COMPLETED, timeout=OPENING_SECONDS)
        first.cancel()
        if self._keys is None:
            message = f"the broker handed out no keys for `{self.opened.target}`"
            raise BackendFailed(message, "the broker's log says why")
        return self._keys

    async def dial(self, near: Near) -> Stream:
        """A client that comes while the broker is looked for waits for it."""
        await self._tether.present()
        broker = self._entrance.broker
        grant = self._entrance.credential.of_grant(Secret(self.opened.grant))
        return await open_stream(broker, grant.headers("GET", broker.url + STREAM), near)

    async def end(self) -> None:
        """Hang up and wait until the broker has revoked the lease, or has taken it on."""
        out = self._entrance.out
        self._tether.leave()
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                ended = await self.over()
        except TimeoutError:
            out.insist("the broker does not confirm the end; it ends the session by itself")
        else:
            _tell_of_what_is_left(out, self.opened.target, ended)
        finally:
            self._follower.cancel()

    async def _follow(self) -> Ended | None:
        while True:
            match await self._tether.hear():
                case Counts() as counts:
                    self.counts = counts
                case Event() as event:
                    if event.kind not in self._entrance.untold:
                        tell(self._entrance.out, event, f"{self.opened.target}: ")
                    self.expires_at = event.expires_at or self.expires_at
                    self.is_glass = self.is_glass or event.kind == BROKEN_GLASS
                case Keys() as keys:
                    self._keys = HeldKeys.of(keys)
                    self._has_keys.set()
                case Ended() as ended:
                    return ended
                case Refusal() as refusal:
                    return Ended(refusal.message)
                case None:
                    return None
                case Opened(session=again, expires_at=at) if again == self.opened.session and self.opened.grace:
                    self.expires_at = at
                case Waiting() | Opened():
                    # Neither belongs behind the opening: a broker that says so is not to be trusted with more.
                    return None


@asynccontextmanager
async def open_session(entrance: Entrance, order: Open, on_waiting: OnWaiting = _nobody_else) -> AsyncIterator[Session]:
    """Ask for a session, wait for approval as long as `order.wait` says, and end it whatever happens inside.

    `on_waiting` hears of the approval that is waited for. Raises `StillPending` when the wait was too short, and
    otherwise what the broker says.
    """
    tether = await _tether(entrance)
    renewing = asyncio.get_running_loop().create_task(_renew(entrance, tether))
    try:
        opened, is_glass = await _opened(entrance, tether, order, on_waiting)
        tether.hold(opened)
        session = Session(entrance, tether, opened, is_glass=is_glass)
        try:
            yield session
        finally:
            await session.end()
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await tether.close()


async def _renew(entrance: Entrance, tether: Tether) -> None:
    """Tell the broker of every renewed token, so that it sees what became of a person; leave when the login is over."""
    try:
        async for credential in renewals(entrance.credential, entrance.fresh):
            headers = credential.headers("GET", entrance.broker.url + SESSION)
            tether.say(Renew(credential.token.reveal(), credential.scheme, headers["DPoP"]))
    except HoopxError as error:
        entrance.out.insist(f"the session ends: {error.message}")
        tether.leave()


async def _tether(entrance: Entrance) -> Tether:
    broker, credential = entrance.broker, entrance.credential
    try:
        control = await open_control(broker, credential.headers("GET", broker.url + SESSION))
        return Tether(broker, credential, control, entrance.out)
    except UpgradeRefused as refused:
        raise error_in(refused.status, refused.body) from None
    except OSError as error:
        raise trust.why(entrance.settings, error) from None


def tell(out: Output, event: Event, before: str = "") -> None:
    """What went past people is told whoever wants to hear little."""
    say = out.insist if event.kind == BROKEN_GLASS else out.say
    say(before + event.message)


async def _opened(entrance: Entrance, tether: Tether, order: Open, on_waiting: OnWaiting) -> tuple[Opened, bool]:
    """The session, and whether glass was broken for it."""
    is_glass = False
    waits = Awaiting(entrance.out, order, entrance.take_back)
    tether.say(order)
    try:
        # While people decide, their time counts; before and after, the broker's.
        async with asyncio.timeout(OPENING_SECONDS) as limit:
            while True:
                match await tether.hear():
                    case Opened() as opened:
                        return opened, is_glass
                    case Refusal() as refusal:
                        raise error_of(refusal)
                    case Waiting() as waiting:
                        if waits.begin(waiting):
                            on_waiting(waiting)
                            limit.reschedule(asyncio.get_running_loop().time() + order.wait + OPENING_SECONDS)
                    case Event() as event:
                        tell(entrance.out, event)
                        is_glass = is_glass or event.kind == BROKEN_GLASS
                    case Counts():
                        pass
                    case Keys():
                        raise Unreachable("the broker handed out keys before the session was open", "update hoopx")
                    case Ended(reason):
                        raise BackendFailed(f"the session ended before it was open: {reason}", "try again")
                    case None:
                        raise Unreachable("the broker hung up before the session was open", "its log says why")
    except TimeoutError:
        raise waits.too_long() from None
    except asyncio.CancelledError:
        await waits.call_off()
        raise
    finally:
        waits.end()


def _tell_of_what_is_left(out: Output, target: str, ended: Ended | None) -> None:
    match ended:
        case Ended(revoked=False, fades_at=at) if at:
            out.say(f"nobody can call back the credential for `{target}`; it ends by itself at {moment(at)}")
        case Ended(revoked=False):
            out.insist(f"the credential for `{target}` could not be revoked yet; the broker keeps trying")

"""What ties a session to this machine: its control channel, taken up again where it was lost for a moment."""

from __future__ import annotations

import asyncio

from hoopx_broker.api.messages import Hangup, Open, Opened, Renew
from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import RESUME, Broker, Control, FromBroker, UpgradeRefused, resume_control
from hoopx_cli.credential import Credential
from hoopx_cli.durations import spoken
from hoopx_cli.output import Output

# Between two tries to reach the broker: soon at first, as most drops are over at once.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
# What the broker answers where there is no such session any more. Other answers come from something on the way.
_OVER = frozenset({401, 403, 404})


class Tether:
    """Speaks and listens as a control channel does. `hold` tells of which session it is, and for how long to try."""

    def __init__(self, broker: Broker, credential: Credential, control: Control, out: Output) -> None:
        self._broker = broker
        self._credential = credential
        self._control = control
        self._out = out
        self._opened: Opened | None = None
        self._is_leaving = self._is_over = False
        self._present = asyncio.Event()
        self._present.set()

    @property
    def is_lost(self) -> bool:
        """Is the broker looked for just now?"""
        return not self._present.is_set()

    def hold(self, opened: Opened) -> None:
        self._opened = opened

    def say(self, message: Open | Renew) -> None:
        self._control.say(message)

    def leave(self) -> None:
        """Hang up, as soon as the broker can hear it."""
        self._is_leaving = True
        self._control.say(Hangup())

    async def hear(self) -> FromBroker | None:
        """The next message; None when the broker is gone for good, or stopped making sense."""
        while (message := await self._control.hear()) is None:
            if self._opened is None or not self._opened.grace or not await self._is_taken_up(self._opened):
                self._is_over = True
                self._present.set()
                break
        return message

    async def present(self) -> None:
        """Waits while the broker is looked for. Raises `Unreachable` where it is not found any more."""
        await self._present.wait()
        if self._is_over:
            raise Unreachable("the broker was lost, and the session with it", "connect again")

    async def close(self) -> None:
        await self._control.close()

    async def _is_taken_up(self, opened: Opened) -> bool:
        self._present.clear()
        self._out.say(f"{opened.target}: the broker was lost; looking for it for {spoken(opened.grace)}")
        try:
            async with asyncio.timeout(opened.grace):
                control = await self._resumed(opened)
        except TimeoutError:
            return False
        if control is None:
            return False
        await self._control.close()
        self._control = control
        self._present.set()
        self._out.say(f"{opened.target}: the broker is back, and the session goes on")
        if self._is_leaving:
            self.leave()
        return True

    async def _resumed(self, opened: Opened) -> Control | None:
        """None where the broker says that there is no such session any more."""
        grant, pause = self._credential.of_grant(Secret(opened.grant)), FIRST_PAUSE
        while True:
            try:
                return await resume_control(self._broker, grant.headers("GET", self._broker.url + RESUME))
            except UpgradeRefused as refused:
                if refused.status in _OVER:
                    return None
            except (OSError, Unreachable):
                pass
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

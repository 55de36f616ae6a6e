"""A session whose keys the client holds: written down before they are sent, and not sent when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from hoopx_broker.api.messages import Event, Keys
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.recording.committer import Failed, Settled
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session.database_session import of_database
from hoopx_broker.session.key_session import KeySession
from hoopx_broker.session.live import LiveSession, Parts, Surface
from hoopx_broker.terms.entries import Entry, Notice, Opened
from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.ids import LeaseId, SessionId
from hoopx_broker.terms.leases import AwsKeys, DatabaseLogin, Lease
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target, UpstreamTls
from hoopx_broker.tunnel.crew import Crew

ANN = Principal("ann", "human")
ACCOUNT = Target("prod-aws", "aws", "", 0, "", UpstreamTls(), "double", region="eu-central-1")
LEASE = Lease(LeaseId("l_1"), SessionId("s_1"), "prod-aws", "double", "ASIA1", "live", 900.0, {"role": "reader"})


def keys(number: int) -> AwsKeys:
    return AwsKeys(f"ASIA{number}", Secret(f"secret-{number}"), Secret(f"token-{number}"))


class Scene:
    """A session; what it writes down and what it sends, in order."""

    def __init__(self, crew: Crew) -> None:
        self.log: list[object] = []
        self.is_full = False
        opened = Opened("s_1", ANN, "prod-aws", "aws", "", "", "1", "", 0, 900)
        made: tuple[Any, ...] = (Identity(ANN, Login("", "", 0), 0, 3600), opened, ACCOUNT, "l_1", self)
        self.session = KeySession(Parts(*made), Surface(crew, self._finish, self._heard), LEASE, keys(1))

    def write(self, entries: Sequence[Entry]) -> None:
        if self.is_full:
            raise RecordingFailed("the disk is full")
        self.log += entries

    def settle(self, settled: Settled, failed: Failed) -> None:
        settled()

    def _heard(self, message: Event | Keys) -> None:
        self.log.append(message)

    async def _finish(self, session: LiveSession, reason: str) -> Conclusion:
        return Conclusion(is_revoked=True)


def play(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene() -> None:
        crew = Crew(lambda name, error: None)
        await act(Scene(crew))
        await crew.close()

    asyncio.run(scene())


def test_handing_out_is_written_first_and_holds_no_secret() -> None:
    async def act(scene: Scene) -> None:
        assert scene.session.hand_out() == Keys("ASIA1", "secret-1", "token-1", "eu-central-1", 900.0)
        (noted,) = scene.log
        assert isinstance(noted, Notice)
        assert noted.lease is not None
        assert (noted.lease.event, noted.lease.user, noted.lease.handle) == ("handed-out", "ASIA1", {"role": "reader"})
        assert "secret-1" not in repr(noted)
        assert "token-1" not in repr(noted)

    play(act)


def test_renewed_keys_are_sent_at_once() -> None:
    async def act(scene: Scene) -> None:
        scene.session.renew(keys(2))
        noted, sent = scene.log
        assert isinstance(noted, Notice)
        assert isinstance(sent, Keys)
        assert (sent.access_key_id, sent.secret_access_key) == ("ASIA2", "secret-2")
        with pytest.raises(TypeError, match="something else than keys"):
            scene.session.renew(DatabaseLogin("a", Secret("b")))

    play(act)


def test_keys_that_cannot_be_recorded_are_not_sent_and_end_the_session() -> None:
    async def act(scene: Scene) -> None:
        scene.is_full = True
        with pytest.raises(RecordingFailed):
            scene.session.hand_out()
        assert (await scene.session.end("later")).is_revoked
        assert scene.session.end_reason == "the session could not be recorded"
        assert scene.log == []

    play(act)


def test_a_session_that_ends_gives_no_keys_any_more() -> None:
    async def act(scene: Scene) -> None:
        await scene.session.end("done")
        assert scene.session.hand_out() is None
        scene.session.renew(keys(2))
        assert scene.log == []

    play(act)


def test_nobody_connects_through_it() -> None:
    async def act(scene: Scene) -> None:
        with pytest.raises(Denied, match="not reached through the broker"):
            of_database(scene.session)

    play(act)

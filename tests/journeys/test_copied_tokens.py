"""A token that was copied opens nothing: neither a session, nor a stream of one, nor a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from hoopx_broker.api.messages import Hangup, Open, Opened, Refusal, Renew
from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tunnel.client import SESSION, STREAM, Broker, Control, UpgradeRefused, open_control, open_stream
from hoopx_cli import settings as cli_settings
from hoopx_cli import trust
from hoopx_cli.credential import Credential
from tests.journeys import native
from tests.journeys.controls import closed, job
from tests.journeys.stage import CAST, Stage
from tests.peers import clients

TARGET = "shop-prod"


class Near:
    """A local side that only listens."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    def far_says(self, data: bytes) -> None:
        """Nothing is expected to be said."""

    def far_is_full(self) -> None:
        """It sends nothing."""

    def far_has_room(self) -> None:
        """It sends nothing."""

    def far_ended(self, reason: str) -> None:
        self.ended.set()


def broker_of(stage: Stage) -> Broker:
    settings = cli_settings.read(cli_settings.Flags(), stage.environment("ann"))
    return Broker(settings.broker, trust.context(settings))


@asynccontextmanager
async def opened(broker: Broker, credential: Credential) -> AsyncIterator[tuple[Control, Opened]]:
    control = await open_control(broker, credential.headers("GET", broker.url + SESSION))
    try:
        control.say(Open(TARGET))
        said = await control.hear()
        assert isinstance(said, Opened), said
        yield control, said
    finally:
        control.say(Hangup())
        await closed(control)


async def opens(broker: Broker, headers: Mapping[str, str]) -> None:
    near = Near()
    (await open_stream(broker, headers, near)).close()
    await near.ended.wait()


async def refused(broker: Broker, headers: Mapping[str, str]) -> int:
    with pytest.raises(UpgradeRefused) as caught:
        await open_stream(broker, headers, Near())
    assert b"grant" in caught.value.body
    return caught.value.status


def test_a_sessions_grant_opens_streams_for_its_key_alone(stage: Stage) -> None:
    async def scene() -> None:
        broker, credential = broker_of(stage), job(stage)
        url = broker.url + STREAM
        async with opened(broker, credential) as (_, session):
            grant = Secret(session.grant)
            own = credential.of_grant(grant).headers("GET", url)
            await opens(broker, own)
            assert await refused(broker, own) == 401  # heard on its way, and sent again
            thief = Credential(grant, ProofKey.create(), "DPoP")
            assert await refused(broker, thief.headers("GET", url)) == 401
            for headers in (
                {"Authorization": f"Bearer {grant.reveal()}"},
                {"Authorization": f"DPoP {grant.reveal()}"},
                credential.of_grant(grant).headers("GET", broker.url + SESSION),
                credential.of_grant(Secret("made-up")).headers("GET", url),
            ):
                assert await refused(broker, headers) == 401
            await opens(broker, credential.of_grant(grant).headers("GET", url))

    asyncio.run(scene())
    stage.nothing_remains()


def test_a_grant_is_no_token_and_a_token_no_grant(stage: Stage) -> None:
    async def scene() -> None:
        broker, credential = broker_of(stage), job(stage)
        assert await refused(broker, credential.headers("GET", broker.url + STREAM)) == 401
        async with opened(broker, credential) as (_, session):
            done = stage.hoopx("whoami", HOOPX_TOKEN=session.grant)
            assert done.code == 11
            as_token = credential.of_grant(Secret(session.grant)).headers("GET", broker.url + SESSION)
            control = await open_control(broker, as_token)
            said = await control.hear()
            assert isinstance(said, Refusal)
            assert said.exit_code == 11
            await closed(control)

    asyncio.run(scene())


def test_a_session_is_not_opened_without_a_proof(stage: Stage) -> None:
    async def scene() -> None:
        broker, credential = broker_of(stage), job(stage)
        control = await open_control(broker, {"Authorization": f"Bearer {credential.token.reveal()}"})
        said = await control.hear()
        assert isinstance(said, Refusal)
        assert (said.exit_code, "proof" in said.message) == (11, True)
        await closed(control)

    asyncio.run(scene())


def test_a_session_goes_on_under_a_renewed_token_of_the_same_person_and_key_alone(stage: Stage) -> None:
    async def ends_with(renewed: Credential, credential: Credential) -> str | None:
        broker = broker_of(stage)
        async with opened(broker, credential) as (control, _):
            headers = renewed.headers("GET", broker.url + SESSION)
            control.say(Renew(renewed.token.reveal(), renewed.scheme, headers["DPoP"]))
            try:
                async with asyncio.timeout(1.0):
                    said = await control.hear()
            except TimeoutError:
                return None
            return getattr(said, "reason", repr(said))

    def of(who: str, key: ProofKey, *groups: str, **more: object) -> Credential:
        return Credential(Secret(stage.mint.token(who, groups or CAST[who], **more)), key, "Bearer")  # type: ignore[arg-type]

    key = ProofKey.create()
    ann = of("ann", key)
    assert asyncio.run(ends_with(of("ann", key, "developers", "more"), ann)) is None
    assert asyncio.run(ends_with(of("ann", ProofKey.create()), ann)) == "the renewed login is another one"
    assert asyncio.run(ends_with(of("bob", key), ann)) == "the renewed login is another one"
    assert asyncio.run(ends_with(of("ann", key, "others"), ann)) == "`ann` is not in `developers` any more"
    assert asyncio.run(ends_with(of("ann", key, lifetime=-5), ann)) == "this token is not accepted"


def test_a_pass_opens_one_session_at_one_target_for_one_user(stage: Stage) -> None:
    word = stage.hoopx("token", TARGET).fine().out.strip()
    assert native.psql(stage, "shop-dev", "SELECT 1", token=word).code == 2
    assert native.psql(stage, TARGET, "SELECT 1", who="bob", token=word).code == 2
    assert stage.hoopx("whoami", HOOPX_TOKEN=word).code == 11
    native.psql(stage, TARGET, "SELECT 1", token=word).fine()
    native.psql(stage, TARGET, "SELECT 1", token=word).fine()  # joins the session, which lingers
    native.end_lingering(stage)
    again = native.psql(stage, TARGET, "SELECT 1", token=word)
    assert (again.code, "hoopx token" in again.err) == (2, True)


def test_a_pass_of_one_purpose_is_none_for_another(stage: Stage) -> None:
    word = stage.hoopx("token", TARGET).fine().out.strip()
    with native.running(stage, TARGET, [*clients.psql("SELECT 1"), "-c", "SELECT pg_sleep(30)"], token=word) as client:
        client.says(r"1\n")
        other = native.psql(stage, TARGET, "SELECT 1", token=word, PGOPTIONS="-c hoopx.reason=another")
        assert other.code == 2
        assert "already" in other.err
    native.end_lingering(stage)


def test_a_pass_for_what_is_not_there_is_not_given(stage: Stage) -> None:
    assert stage.hoopx("token", "nowhere").code == 2

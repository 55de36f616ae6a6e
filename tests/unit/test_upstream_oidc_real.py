"""Logins through npm `oidc-provider`: what its refresh tokens bring, and what they no longer bring."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, OidcIssuer
from hoopx_broker.terms.settings import OidcUpstream as Settings
from tests.peers.browser import Browser
from tests.peers.oidc import PASSWORD
from tests.peers.upstreams import OIDC_CLIENT, OIDC_SECRET, OidcUpstream, oidc_upstream
from tests.unit.issuer_stage import HOST, URL, Issuer
from tests.unit.upstream_stage import Person

SCOPES = ("openid", "profile", "email", "offline_access")


@pytest.fixture
def provider() -> Iterator[OidcUpstream]:
    with oidc_upstream(f"{URL}/upstream/example-corp/callback") as running:
        yield running


def play(state: Path, provider: OidcUpstream, scene: Callable[[Person], Awaitable[None]]) -> None:
    """A scene with somebody at a broker that lives by the world's time, as the provider does."""

    async def act() -> None:
        store = await Store.open(state)
        try:
            issuer = Issuer()
            issuer.now = time.time()
            trusted = OidcIssuer(provider.url, OIDC_CLIENT, "human", Claims("email", "groups"), OIDC_CLIENT, SCOPES)
            settings = Settings("Example Corp", "example-corp", trusted, Secret(OIDC_SECRET))
            await issuer.start(store, EmbeddedIssuer({}, upstreams=(settings,)))
            async with issuer.visitor() as browser:
                await scene(Person(issuer, browser))
        finally:
            await store.close()

    asyncio.run(act())


async def come_through(person: Person, who: str) -> dict[str, str]:
    there = await (await person.begin()).leave()
    back = await asyncio.to_thread(_log_in_there, there, who)
    await person.arrive(**dict(parse_qsl(urlsplit(back).query)))
    assert "Is this you?" in (await person.go_on()).text
    return await person.allow()


def _log_in_there(url: str, who: str) -> str:
    """The address to which the provider sends somebody back."""
    with Browser(ssl.create_default_context(), until=HOST) as browser:
        page = browser.open(url)
        while page.form is not None:
            page = browser.submit(page, {"login": who, "password": PASSWORD})
        return page.url


def test_groups_follow_the_provider_at_each_renewal(tmp_path: Path, provider: OidcUpstream) -> None:
    async def scene(person: Person) -> None:
        tokens = await come_through(person, "dora")
        assert set((await person.issuer.who(tokens["access_token"])).groups) == {"dba", "developers"}
        provider.set_groups("dora", ["auditors"])
        for _ in range(2):
            answer = await person.issuer.refresh(tokens["refresh_token"])
            assert answer.status_code == 200, (answer.text, person.issuer.notes)
            tokens = answer.json()
            assert (await person.issuer.who(tokens["access_token"])).groups == ("auditors",)

    play(tmp_path / "state.db", provider, scene)


def test_whoever_the_provider_takes_out_is_out_at_the_next_renewal(tmp_path: Path, provider: OidcUpstream) -> None:
    async def scene(person: Person) -> None:
        tokens = await come_through(person, "ann")
        provider.take_out("ann")
        answer = await person.issuer.refresh(tokens["refresh_token"])
        assert answer.json()["error"] == "invalid_grant"
        assert "has ended the login of `ann@example.com`" in person.issuer.notes[-1]

    play(tmp_path / "state.db", provider, scene)


def test_the_provider_says_who_sends_an_answer(tmp_path: Path, provider: OidcUpstream) -> None:
    """It announces RFC 9207, so an answer without `iss` is none of its answers."""

    async def scene(person: Person) -> None:
        there = await (await person.begin()).leave()
        answer = dict(parse_qsl(urlsplit(await asyncio.to_thread(_log_in_there, there, "ann")).query))
        assert answer.pop("iss") == provider.url
        await person.arrive(**answer)
        assert "not accepted" in (await person.go_on()).text
        assert "does not say its issuer" in person.issuer.notes[-1]

    play(tmp_path / "state.db", provider, scene)

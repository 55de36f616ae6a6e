"""Signing in for the pages at an organisation's provider, a double of one that can be made to lie."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest

from hoopx_broker.daemon.pages.paper import VISIT
from hoopx_broker.identity.backchannel import is_meant_for
from hoopx_broker.identity.embedded import people
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import Claims, OidcIssuer, PageClient
from tests.unit.identity_stage import EC_KEY, RSA_KEY, signed
from tests.unit.issuer_stage import HOST, START
from tests.unit.pages_stage import Browser, PagesStage
from tests.unit.upstream_stage import CLIENT, SECRET, ProviderDouble

WAY = "example-corp"
Scene = Callable[[PagesStage, "Visitor"], Awaitable[None]]


@pytest.fixture
def double() -> Iterator[ProviderDouble]:
    with ProviderDouble().running() as running:
        yield running


class Visitor:
    """A person in a browser, and the provider's answer when they come back."""

    def __init__(self, browser: Browser, double: ProviderDouble) -> None:
        self.browser, self.double = browser, double
        self.asked: dict[str, str] = {}

    async def leave(self, way: str = WAY) -> None:
        self.asked = self.double.sent(await self.browser.leave(await self.browser.get("/login"), way))

    async def arrive(self, way: str = WAY, **changes: str) -> httpx2.Response:
        said = {"code": self.double.code("ann", self.asked), "state": self.asked["state"], "iss": self.double.url}
        answer = {name: value for name, value in (said | changes).items() if value}
        return await self.browser.client.get(f"/login/{way}/callback", params=answer)


@pytest.fixture
def play(tmp_path: Path, double: ProviderDouble, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scene], None]:
    """At a broker that knows this provider, where the pages have a client of their own."""

    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess

    def run(scene: Scene) -> None:
        async def act() -> None:
            store = await Store.open(tmp_path / "state.db")
            try:
                stage = PagesStage(store)
                own = PageClient(CLIENT, "Example Corp", WAY, Secret(SECRET))
                common: dict[str, Any] = {
                    "kind": "human",
                    "claims": Claims("email", "groups"),
                    "client_id": "hoopx-cli",
                }
                await stage.open([OidcIssuer(double.url, "hoopx", page=own, **common)])
                await scene(stage, Visitor(stage.browser(), double))
            finally:
                await store.close()

        asyncio.run(act())

    return run


def test_a_person_signs_in_at_their_provider(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        assert "Continue with Example Corp" in (await ann.browser.get("/requests")).text
        await ann.leave()
        assert ann.asked["redirect_uri"] == f"{HOST}/login/{WAY}/callback"
        assert ann.asked["client_id"] == CLIENT
        assert (await ann.arrive()).headers["location"] == "/requests"
        visit = await stage.visits.find(ann.browser.client.cookies[VISIT])
        assert visit is not None
        assert (visit.identity.who.user, visit.identity.who.groups) == ("ann@example.com", ("dba",))
        assert visit.expires_at == START + 600
        credentials = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        assert double.authorizations == [f"Basic {credentials}"]

    play(scene)


LIES: dict[str, dict[str, Any]] = {
    "nonce of another trip": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "audience of another client": {"aud": "another"},
    "audience of the command line": {"aud": "hoopx-cli"},
    "audience of the broker alone": {"aud": "hoopx"},
    "audience shared": {"aud": [CLIENT, "another"]},
    "asked for by another": {"azp": "another"},
    "issuer": {"iss": "https://evil.example"},
    "over": {"exp": START - 1},
    "no end": {"exp": None},
    "not begun": {"iat": START + 3600},
    "no subject": {"sub": None},
    "no user": {"email": None},
    "address not verified": {"email_verified": False},
    "acts for somebody": {"act": {"sub": "bot"}},
    "tells of an event": {"events": {}},
    "bidi in the name": {"email": "ann\u202e@example.com"},
}


def test_an_id_token_that_does_not_hold_lets_nobody_in(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        for lie, said in LIES.items():
            double.said = said
            await ann.leave()
            await refused(ann, await ann.arrive(), lie)

    play(scene)


def test_a_signature_of_nobody_lets_nobody_in(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        for kid in ("r1", "?"):
            double.signing = {"key": EC_KEY, "alg": "ES256", "kid": kid}
            await ann.leave()
            await refused(ann, await ann.arrive(), kid)
        for token in ({"id_token": None}, {"id_token": "eyJ"}, {"id_token": 7}):
            double.token = token
            await ann.leave()
            await refused(ann, await ann.arrive(), str(token))

    play(scene)


STRANGE: dict[str, dict[str, str]] = {
    "of another issuer": {"iss": "https://evil.example"},
    "of no issuer": {"iss": ""},
    "no": {"code": "", "error": "access_denied"},
    "no, in words of its own": {"code": "", "error": "<script>"},
}


def test_an_answer_that_is_not_this_issuers_or_no_yes_lets_nobody_in(
    play: Callable[[Scene], None], double: ProviderDouble
) -> None:
    """RFC 9207: where the provider says that it names itself, an answer without a name is refused as well."""

    async def scene(stage: PagesStage, ann: Visitor) -> None:
        for strange, said in STRANGE.items():
            await ann.leave()
            await refused(ann, await ann.arrive(**said), strange)
        assert double.asked == []  # their codes are taken to nobody
        double.refused = {"error": "invalid_grant"}
        await ann.leave()
        await refused(ann, await ann.arrive(), "a code that its issuer does not know")

    play(scene)


def test_an_answer_of_one_issuer_is_never_taken_to_another(
    play: Callable[[Scene], None], double: ProviderDouble
) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        await ann.leave()
        assert (await ann.arrive("embedded")).status_code == 400
        assert (await ann.arrive("nobody")).status_code == 404
        assert double.asked == []
        assert (await ann.arrive()).status_code == 303

    play(scene)


def test_an_access_token_that_names_the_broker_counts(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        double.token = {"access_token": access_token(double, groups=["security"])}
        await ann.leave()
        assert (await ann.arrive()).status_code == 303
        visit = await stage.visits.find(ann.browser.client.cookies[VISIT])
        assert visit is not None
        assert visit.identity.who.groups == ("security",)
        assert visit.expires_at == START + 300

    play(scene)


def test_an_access_token_of_somebody_else_lets_nobody_in(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        lies: tuple[dict[str, Any], ...] = ({"sub": "id-of-dora"}, {"sub": None}, {"typ": "logout+jwt"})
        for said in lies:
            double.token = {"access_token": access_token(double, **said)}
            await ann.leave()
            await refused(ann, await ann.arrive(), str(said))

    play(scene)


def test_a_silent_provider_is_told_as_that(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        await ann.leave()
        double.down = True
        assert (await ann.arrive()).status_code == 503
        page = PageClient("c", "New Corp", "new-corp")
        fresh = stage.browser(stage.broker([OidcIssuer(double.url, "hoopx", "human", Claims(), "c", page=page)]))
        assert (await fresh.post("/login/new-corp", {"at": "/requests"})).status_code == 503

    play(scene)


def test_a_user_who_is_out_does_not_come_in(play: Callable[[Scene], None], double: ProviderDouble) -> None:
    async def scene(stage: PagesStage, ann: Visitor) -> None:
        await stage.revoke("ann@example.com")
        await ann.leave()
        await refused(ann, await ann.arrive(), "out")

    play(scene)


def test_a_logout_told_to_the_pages_client_is_for_us(double: ProviderDouble) -> None:
    """As one told to the client of the command line, and to no other."""
    page = PageClient(CLIENT, "Example Corp", WAY)
    issuer = OidcIssuer(double.url, "hoopx", "human", Claims(), "hoopx-cli", page=page)
    heard = {client: is_meant_for({"aud": client}, issuer) for client in (CLIENT, "hoopx-cli", "hoopx", "another")}
    assert heard == {CLIENT: True, "hoopx-cli": True, "hoopx": False, "another": False}
    assert not is_meant_for({"aud": [CLIENT, "another"]}, issuer)


async def refused(visitor: Visitor, page: httpx2.Response, why: str) -> None:
    assert page.status_code == 403, why
    assert VISIT not in visitor.browser.client.cookies, why
    assert (await visitor.browser.get("/requests")).status_code == 401, why
    assert "eyJ" not in page.text, why
    assert "<script" not in page.text, why


def access_token(double: ProviderDouble, **said: Any) -> str:
    kind = {"typ": said.pop("typ", "at+jwt")}
    claims = {"iss": double.url, "aud": "hoopx", "sub": "id-of-ann", "iat": START, "exp": START + 300}
    claims |= {"email": "ann@example.com", "client_id": CLIENT} | said
    return signed({name: value for name, value in claims.items() if value is not None}, RSA_KEY, "RS256", "r1", **kind)

"""A SAML provider as the pages see it: requests that go out, answers that come back, names and their sources."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from lxml import etree

from hoopx_broker.identity.embedded.upstream.answers import Proved
from hoopx_broker.identity.embedded.upstream.naming import Names, could_give
from hoopx_broker.identity.embedded.upstream.saml import SamlProvider
from hoopx_broker.identity.embedded.upstream.trips import Trip
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.settings import Claims, EmbeddedIssuer, SamlUpstream
from tests.unit.identity_stage import NOW
from tests.unit.issuer_stage import Issuer, fields
from tests.unit.saml_stage import ENTITY, HERE, NAMES, PROVIDER, REQUEST, SAML, assertion, at, posted, response, signed
from tests.unit.test_config_upstream import metadata
from tests.unit.upstream_stage import Person, leads_to

TRIP = Trip("old-corp", "the-state", "nonce", "verifier", REQUEST, "cookie", "token", "192.0.2.7", NOW)


def settings(**changes: Any) -> SamlUpstream:
    given: dict[str, Any] = {
        "name": "Old Corp",
        "slug": "old-corp",
        "metadata": metadata().encode(),
        "claims": Claims("email", "groups"),
    }
    return SamlUpstream(**(given | changes))


def provider(claims: Claims | None = None) -> SamlProvider:
    return SamlProvider(settings(claims=claims or Claims("email", "groups")), ENTITY, HERE, lambda: NOW)


def proved(desk: SamlProvider, xml: str) -> Proved:
    return asyncio.run(desk.prove(TRIP, {"SAMLResponse": posted(xml)}))


def test_a_request_goes_out_by_redirect() -> None:
    way = asyncio.run(provider().way_out(TRIP))
    assert way.startswith("https://idp.example.com/sso?")
    asked = dict(parse_qsl(urlsplit(way).query))
    assert asked["RelayState"] == "the-state"
    request = etree.fromstring(zlib.decompress(base64.b64decode(asked["SAMLRequest"]), wbits=-15))
    assert request.tag == f"{{{NAMES['samlp']}}}AuthnRequest"
    assert request.get("ID") == REQUEST
    assert request.get("AssertionConsumerServiceURL") == HERE
    assert request.get("Destination") == "https://idp.example.com/sso"
    assert request.get("IssueInstant") == at(0)
    assert request.findtext(f"{{{NAMES['saml']}}}Issuer") == ENTITY


def test_an_answer_says_who_came_and_their_groups() -> None:
    known = proved(provider(), response(signed(assertion())))
    assert (known.who.user, known.who.groups, known.who.subject) == ("ann@example.com", ("dba", "Domain Users"), "ann")
    assert (known.who.kind, known.who.issuer, known.email) == ("human", PROVIDER, "ann@example.com")
    assert known.refresh is None


def test_the_name_id_is_the_user_where_nothing_else_is_said() -> None:
    assert proved(provider(Claims()), response(signed(assertion()))).who.user == "ann"


def test_an_attribute_names_the_person_behind_an_account() -> None:
    assert proved(provider(Claims("sub", None, "email")), response(signed(assertion()))).who.person == "ann@example.com"
    assert proved(provider(Claims("email", None, "sub")), response(signed(assertion()))).who.person == "ann"
    for missing in ("uid", "groups"):  # none, and two values
        with pytest.raises(NotAccepted, match=f"`{missing}` is not a name"):
            proved(provider(Claims("sub", None, missing)), response(signed(assertion())))
    passing = response(signed(assertion(format=f"{SAML}:nameid-format:transient")))
    with pytest.raises(NotAccepted, match="passing"):
        proved(provider(Claims("email", None, "sub")), passing)


def test_a_passing_name_id_names_nobody() -> None:
    passing = response(signed(assertion(format=f"{SAML}:nameid-format:transient")))
    with pytest.raises(NotAccepted, match="passing"):
        proved(provider(Claims()), passing)
    assert proved(provider(), passing).who.user == "ann@example.com"


def test_an_attribute_with_two_values_names_nobody() -> None:
    with pytest.raises(NotAccepted, match="`groups` is not a name"):
        proved(provider(Claims("groups")), response(signed(assertion())))


def test_an_attribute_that_is_missing_names_nobody() -> None:
    with pytest.raises(NotAccepted, match="`uid` is not a name"):
        proved(provider(Claims("uid")), response(signed(assertion())))


def test_an_assertion_that_came_before_is_refused() -> None:
    """Its trip is over too, but one wall is no reason to do without the other."""
    desk, xml = provider(), response(signed(assertion()))
    proved(desk, xml)
    with pytest.raises(NotAccepted, match="came before"):
        proved(desk, xml)


def test_an_assertion_is_remembered_as_long_as_it_holds() -> None:
    now = [NOW]
    desk = SamlProvider(settings(), ENTITY, HERE, lambda: now[0])
    proved(desk, response(signed(assertion())))
    now[0] += 299
    with pytest.raises(NotAccepted, match="came before"):
        proved(desk, response(signed(assertion())))


def test_the_provider_may_end_a_login_earlier() -> None:
    statement = f'<saml:AuthnStatement AuthnInstant="{at(-5)}" SessionNotOnOrAfter="{at(3600)}"/>'
    assert proved(provider(), response(signed(assertion(statement=statement)))).ends_at == NOW + 3600


def test_our_own_description_can_be_read() -> None:
    root = etree.fromstring(provider().metadata().encode())
    assert root.get("entityID") == ENTITY
    service = root.find(".//{urn:oasis:names:tc:SAML:2.0:metadata}AssertionConsumerService")
    assert service.get("Location") == HERE
    assert service.get("Binding") == "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


# Through the pages


async def _at_the_provider(person: Person) -> dict[str, str]:
    there = await (await person.begin()).leave("old-corp")
    return dict(parse_qsl(urlsplit(there).query))


def _answer(asked: dict[str, str], **changes: str) -> dict[str, str]:
    request = etree.fromstring(zlib.decompress(base64.b64decode(asked["SAMLRequest"]), wbits=-15))
    answers = f'InResponseTo="{request.get("ID")}"'
    here = str(request.get("AssertionConsumerServiceURL"))
    audience = str(request.findtext(f"{{{NAMES['saml']}}}Issuer"))
    restriction = f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
    inner = assertion(**{"answers": answers, "recipient": here, "conditions": restriction} | changes)
    xml = response(signed(inner), answers=answers, destination=f'Destination="{here}"')
    return {"SAMLResponse": posted(xml), "RelayState": asked["RelayState"]}


def test_an_answer_that_is_posted_from_another_site_goes_on_at_a_page_of_ours(tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        asked = await _at_the_provider(person)
        headers = {"origin": "https://idp.example.com"}
        back = await person.browser.post("/oidc/upstream/old-corp/callback", data=_answer(asked), headers=headers)
        assert leads_to(back) == "/oidc/continue"
        assert "Is this you?" not in back.text
        assert "Is this you?" in (await person.go_on()).text
        who = await person.issuer.who((await person.allow())["access_token"])
        assert (who.user, who.groups) == ("ann@example.com", ("dba", "Domain Users"))

    _played(tmp_path, scene)


def test_an_answer_that_nobody_asked_for_is_refused_at_the_door(tmp_path: Path) -> None:
    """Begun by the provider: there is no trip that it could belong to."""

    async def scene(person: Person) -> None:
        asked = await _at_the_provider(person)
        for state in ("", "made-up"):
            form = _answer(asked) | {"RelayState": state}
            back = await person.browser.post("/oidc/upstream/old-corp/callback", data=form)
            assert (back.status_code, "set-cookie" in back.headers) == (400, False)
        get = await person.browser.get("/oidc/upstream/old-corp/callback", params=_answer(asked))
        assert get.status_code == 405

    _played(tmp_path, scene)


def test_an_answer_to_the_trip_of_another_browser_is_refused(tmp_path: Path) -> None:
    """The attacker's own honest answer, under the state of the victim's trip."""

    async def scene(victim: Person) -> None:
        theirs = await _at_the_provider(victim)
        async with victim.issuer.visitor() as other:
            mine = await _at_the_provider(Person(victim.issuer, other))
        form = _answer(mine) | {"RelayState": theirs["RelayState"]}
        await victim.browser.post("/oidc/upstream/old-corp/callback", data=form)
        assert "not accepted" in (await victim.go_on()).text
        assert "does not answer the request of this trip" in victim.issuer.notes[-1]

    _played(tmp_path, scene)


def test_groups_of_saml_last_as_long_as_the_login(tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        statement = f'<saml:AuthnStatement AuthnInstant="{at(-5)}" SessionNotOnOrAfter="{at(1800)}"/>'
        asked = await _at_the_provider(person)
        form = _answer(asked, statement=statement)
        await person.browser.post("/oidc/upstream/old-corp/callback", data=form)
        await person.go_on()
        tokens = await person.allow()
        person.issuer.now += 1000
        answer = (await person.issuer.refresh(tokens["refresh_token"])).json()
        assert answer["expires_in"] == 800
        person.issuer.now += 800
        assert (await person.issuer.refresh(answer["refresh_token"])).json()["error"] == "invalid_grant"

    _played(tmp_path, scene)


def test_an_answer_that_is_too_large_is_not_held(tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        asked = await _at_the_provider(person)
        form = {"SAMLResponse": "A" * 400_000, "RelayState": asked["RelayState"]}
        back = await person.browser.post("/oidc/upstream/old-corp/callback", data=form)
        assert back.status_code == 413

    _played(tmp_path, scene)


def test_the_way_out_is_a_form_of_this_visit(tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        await person.begin()
        assert set(fields(person.page)) == {"token"}

    _played(tmp_path, scene)


def _played(home: Path, scene: Callable[[Person], Awaitable[None]]) -> None:
    async def act() -> None:
        store = await Store.open(home / "state.db")
        try:
            issuer = Issuer()
            await issuer.start(store, EmbeddedIssuer({}, upstreams=(settings(),)))
            async with issuer.visitor() as browser:
                await scene(Person(issuer, browser))
        finally:
            await store.close()

    asyncio.run(act())


# Names


@pytest.mark.parametrize(
    ("there", "name", "may"),
    [
        ({"domains": ("example.com",)}, "ann@example.com", True),
        ({"domains": ("example.com",)}, "Ann@EXAMPLE.com", True),
        ({"domains": ("example.com",)}, "ann@evil.example", False),
        ({"domains": ("example.com",)}, "ann@evil.example@example.com", False),
        ({"domains": ("example.com",)}, "ann@sub.example.com", False),
        ({"domains": ("example.com",)}, "example.com", False),
        ({"domains": ("example.com",)}, "ann", False),
        ({"prefix": "old/"}, "old/ann", True),
        ({"prefix": "old/"}, "ann", False),
        ({"prefix": "old/", "domains": ("example.com",)}, "old/ann@example.com", True),
        ({"prefix": "old/", "domains": ("example.com",)}, "old/ann", False),
        ({}, "anything", True),
    ],
)
def test_which_names_an_upstream_may_give(there: dict[str, Any], name: str, may: bool) -> None:
    assert could_give(settings(**there), name) is may


def test_a_name_that_is_too_long_with_its_prefix_is_refused() -> None:
    old = settings(prefix="old/")
    with pytest.raises(NotAccepted, match="too long"):
        Names.of((old,), ()).given(old, "a" * 253)


def test_a_name_that_two_upstreams_could_give_is_nobody_s() -> None:
    """One has a prefix, the other a domain: somebody of the second takes the prefix into their address."""
    old, new = settings(prefix="old/"), settings(name="New Corp", slug="new", domains=("example.com",))
    names = Names.of((old, new), ())
    assert names.given(old, "ann") == "old/ann"
    for upstream, said in ((new, "old/ann@example.com"), (old, "ann@example.com")):
        with pytest.raises(NotAccepted, match="more than one upstream"):
            names.given(upstream, said)

"""Token exchange (RFC 8693): an agent acts for a person, for a quarter of an hour, with that person's key alone."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest
from starlette.applications import Starlette

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded import people
from hoopx_broker.identity.embedded.endpoints import CREDENTIALS_GRANT
from hoopx_broker.identity.embedded.exchange import ACCESS_TOKEN, EXCHANGE, Subject
from hoopx_broker.identity.embedded.routes import routes
from hoopx_broker.identity.embedded.tokens import ACCESS_LIFE
from hoopx_broker.identity.identity import Login
from hoopx_broker.identity.standing import Revocation
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalAgent
from tests.unit.issuer_stage import HOST, START, URL, Issuer, Play, error, player, said, users

SECRET = "a secret of the report bot"


def config() -> EmbeddedIssuer:
    agents = {
        "claude": LocalAgent("claude", ("agents",)),
        "report-bot": LocalAgent("report-bot", ("agents", "reports"), secret=Secret(SECRET)),
    }
    return EmbeddedIssuer(users(), agents=agents)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db", config())


async def exchange(
    issuer: Issuer, subject: str, key: ProofKey | None, agent: str = "claude", **more: str
) -> httpx2.Response:
    form = {"client_id": agent, "subject_token": subject, "subject_token_type": ACCESS_TOKEN} | more
    return await issuer.token(EXCHANGE, key, **form)


def basic(name: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def given(issuer: Issuer, key: ProofKey, agent: str = "claude") -> str:
    answer = await exchange(issuer, (await issuer.bound(key))["access_token"], key, agent)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


# --- the way as it should be ------------------------------------------------------------------------------------


def test_an_agent_gets_a_token_by_which_it_acts_for_a_person(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        own = (await issuer.bound(key))["access_token"]
        answer = (await exchange(issuer, own, key)).json()
        token = answer.pop("access_token")
        assert answer == {
            "token_type": "DPoP",
            "issued_token_type": ACCESS_TOKEN,
            "expires_in": ACCESS_LIFE,
            "scope": "groups",
        }
        claims = said(token)
        assert claims["hoopx_login"].pop("sid") == said(own)["sid"]
        assert claims | {"jti": ""} == {
            "iss": URL,
            "aud": "hoopx",
            "sub": "ann",
            "groups": ["developers"],
            "act": {"sub": "claude"},
            "client_id": "claude",
            "scope": "groups",
            "hoopx_kind": "agent",
            "cnf": {"jkt": key.thumbprint},
            "iat": int(START),
            "exp": int(START) + ACCESS_LIFE,
            "jti": "",
            "hoopx_login": {"iss": URL, "sub": "ann", "auth_time": int(START)},
        }
        who = await issuer.identify(Secret(token))
        assert who.who == Principal("claude", "agent", ("agents",), URL, "claude", "ann", ("developers",), URL)

    play(scene)


def test_an_agent_with_a_credential_proves_itself_and_its_person(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN}
        headers = basic("report-bot", SECRET) | {"dpop": issuer.proof(key)}
        who = await issuer.identify(Secret((await issuer.call("token", form, headers)).json()["access_token"]))
        assert (who.who.user, who.who.groups) == ("report-bot", ("agents", "reports"))
        assert (who.who.on_behalf_of, who.who.their_groups) == ("ann", ("developers",))
        assert error(await exchange(issuer, token, key, "report-bot")) == "invalid_client"
        wrong = basic("report-bot", "wrong") | {"dpop": issuer.proof(key)}
        assert error(await issuer.call("token", form, wrong)) == "invalid_client"

    play(scene)


@pytest.mark.parametrize("target", [{"audience": "hoopx"}, {"audience": HOST}, {"resource": HOST}, {"resource": URL}])
def test_the_request_may_name_this_broker(play: Play, target: dict[str, str]) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        assert (await exchange(issuer, token, key, **target)).status_code == 200

    play(scene)


def test_an_agents_token_ends_with_its_persons(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        issuer.now += ACCESS_LIFE - 100
        answer = (await exchange(issuer, token, key)).json()
        assert answer["expires_in"] == 100
        assert said(answer["access_token"])["exp"] == said(token)["exp"]
        issuer.now += 99.5
        assert error(await exchange(issuer, token, key)) == "invalid_request"

    play(scene)


def test_an_agents_token_ends_when_its_person_logs_out(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        tokens = await issuer.bound(key)
        token = (await exchange(issuer, tokens["access_token"], key)).json()["access_token"]
        await issuer.identify(Secret(token))
        await issuer.post("revoke", client_id="hoopx-cli", token=tokens["refresh_token"])
        for ended in (token, tokens["access_token"]):
            with pytest.raises(Unauthenticated):
                await issuer.identify(Secret(ended))

    play(scene)


def test_the_groups_of_agent_and_person_are_kept_apart(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        answer = await exchange(issuer, (await issuer.bound(key, "bob"))["access_token"], key)
        who = (await issuer.identify(Secret(answer.json()["access_token"]))).who
        assert (who.groups, who.their_groups, who.on_behalf_of) == (("agents",), (), "bob")

    play(scene)


def test_a_persons_token_of_another_issuer_is_taken_where_the_gate_takes_it(play: Play) -> None:
    elsewhere = Principal("eve@example.com", "human", ("guests",), "https://login.example.com", "u-1")
    their_login = Login(elsewhere.issuer, "u-1", START - 90, "s-1")

    async def scene(issuer: Issuer) -> None:
        async def identify(token: Secret, key: str) -> Subject:
            assert token.reveal() == "opaque.to.us"
            return Subject(elsewhere, issuer.now + 60, their_login)

        await issuer.start(issuer.store, config(), identify)
        answer = await exchange(issuer, "opaque.to.us", ProofKey.create())
        claims = said(answer.json()["access_token"])
        assert (claims["sub"], claims["groups"], claims["exp"]) == ("eve@example.com", ["guests"], int(START) + 60)
        elsewhere_too = {"iss": elsewhere.issuer, "sub": "u-1", "sid": "s-1", "auth_time": int(START) - 90}
        assert claims["hoopx_login"] == elsewhere_too
        lent = Secret(answer.json()["access_token"])
        assert (await issuer.identify(lent)).login == their_login
        ended = Revocation("login", elsewhere.issuer, "s-1", issuer.now, "their provider", "logged out")
        await issuer.standing.revoke(ended)
        with pytest.raises(Unauthenticated):
            await issuer.identify(lent)

    play(scene)


# --- laundering -------------------------------------------------------------------------------------------------


def test_a_stolen_token_does_not_become_one_without_its_key_nor_with_another(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        stolen = (await issuer.bound(ProofKey.create()))["access_token"]
        assert error(await exchange(issuer, stolen, None)) == "invalid_dpop_proof"
        assert error(await exchange(issuer, stolen, ProofKey.create())) == "invalid_request"

    play(scene)


def test_a_bearers_token_becomes_one_that_is_bound(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.log_in())["access_token"]
        assert error(await exchange(issuer, token, None)) == "invalid_dpop_proof"
        answer = (await exchange(issuer, token, key)).json()
        assert said(answer["access_token"])["cnf"] == {"jkt": key.thumbprint}

    play(scene)


def test_the_proof_of_an_exchange_serves_once(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        proof = {"dpop": issuer.proof(key)}
        form = {"grant_type": EXCHANGE, "client_id": "claude", "subject_token": token}
        form["subject_token_type"] = ACCESS_TOKEN
        assert (await issuer.call("token", form, proof)).status_code == 200
        assert error(await issuer.call("token", form, proof)) == "invalid_dpop_proof"

    play(scene)


# --- whose token is not taken -----------------------------------------------------------------------------------


async def agents_own(issuer: Issuer, key: ProofKey) -> str:
    headers = basic("report-bot", SECRET) | {"dpop": issuer.proof(key)}
    answer = await issuer.call("token", {"grant_type": CREDENTIALS_GRANT}, headers)
    token: str = answer.json()["access_token"]
    return token


async def refresh(issuer: Issuer, key: ProofKey) -> str:
    return str((await issuer.bound(key))["refresh_token"])


async def identity(issuer: Issuer, key: ProofKey) -> str:
    return str((await issuer.bound(key))["id_token"])


async def changed(issuer: Issuer, key: ProofKey) -> str:
    token = str((await issuer.bound(key))["access_token"])
    return token[:-10] + ("A" * 10)


async def garbage(issuer: Issuer, key: ProofKey) -> str:
    return "no.token.here"


SUBJECTS: dict[str, Any] = {
    "an agent's own": agents_own,
    "an agent's for a person": given,
    "a refresh token": refresh,
    "an ID token": identity,
    "a changed one": changed,
    "garbage": garbage,
}


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("agent", ["claude"])
def test_only_a_persons_token_is_exchanged(play: Play, name: str, agent: str) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        assert error(await exchange(issuer, await SUBJECTS[name](issuer, key), key, agent)) == "invalid_request"

    play(scene)


def test_what_was_lent_is_not_lent_on_to_another_agent_either(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        form = {"grant_type": EXCHANGE, "subject_token": await given(issuer, key), "subject_token_type": ACCESS_TOKEN}
        headers = basic("report-bot", SECRET) | {"dpop": issuer.proof(key)}
        assert error(await issuer.call("token", form, headers)) == "invalid_request"

    play(scene)


def test_an_expired_token_is_not_exchanged(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        issuer.now += ACCESS_LIFE
        assert error(await exchange(issuer, token, key)) == "invalid_request"

    play(scene)


@pytest.mark.parametrize(
    "who",
    [
        Principal("repo:acme/shop", "job", ("deployers",)),
        Principal("bot", "agent", ("agents",)),
        Principal("bot", "agent", ("agents",), on_behalf_of="ann", their_groups=("dba",)),
        Principal("ann", "human", ("dba",), on_behalf_of="bob"),
    ],
)
def test_nobody_but_a_person_can_let_an_agent_act(play: Play, who: Principal) -> None:
    async def scene(issuer: Issuer) -> None:
        async def identify(token: Secret, key: str) -> Subject:
            return Subject(who, issuer.now + 600, Login(who.issuer, who.subject, START))

        await issuer.start(issuer.store, config(), identify)
        assert error(await exchange(issuer, "a.b.c", ProofKey.create())) == "invalid_request"

    play(scene)


def test_an_agent_is_known_to_act_for_the_person_behind_the_account(play: Play) -> None:
    """Else another account of the same person could approve what the agent asks."""

    async def scene(issuer: Issuer) -> None:
        async def identify(token: Secret, key: str) -> Subject:
            ann = Principal("ann@corp", "human", ("dba",), "https://login.example.com", "u-1", person="4711")
            return Subject(ann, issuer.now + 600, Login(ann.issuer, ann.subject, START))

        await issuer.start(issuer.store, config(), identify)
        token = (await exchange(issuer, "a.b.c", ProofKey.create())).json()["access_token"]
        assert said(token)["hoopx_person"] == "4711"

    play(scene)


def test_who_is_refused_hears_the_same_whatever_was_wrong(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        expired = (await issuer.bound(key))["access_token"]
        issuer.now += ACCESS_LIFE
        heard = {
            (await exchange(issuer, token, key)).text
            for token in (expired, "a.b.c", "x", await changed(issuer, key), await refresh(issuer, key))
        }
        assert len(heard) == 1

    play(scene)


def test_an_issuer_without_a_gate_exchanges_nothing(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        token = (await issuer.bound(key))["access_token"]
        issuer.app = Starlette(routes=routes(issuer.embedded))
        assert error(await exchange(issuer, token, key)) == "invalid_request"

    play(scene)


# --- requests that are none -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"audience": "https://billing.example.com"}, "invalid_target"),
        ({"resource": "https://billing.example.com"}, "invalid_target"),
        ({"audience": "hoopx", "resource": "https://billing.example.com"}, "invalid_target"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"subject_token_type": "access_token"}, "invalid_request"),
        ({"subject_token_type": ""}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ({"actor_token": "a.b.c"}, "invalid_request"),
        ({"actor_token": "a.b.c", "actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
    ],
)
def test_a_request_for_something_else_is_refused(play: Play, more: dict[str, str], code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        form = {"client_id": "claude", "subject_token_type": ACCESS_TOKEN}
        form |= {"subject_token": (await issuer.bound(key))["access_token"]} | more
        assert error(await issuer.token(EXCHANGE, key, **form)) == code

    play(scene)


@pytest.mark.parametrize(("agent", "code"), [("hoopx-cli", "unauthorized_client"), ("stranger", "invalid_client")])
def test_only_an_agent_of_this_issuer_can_act(play: Play, agent: str, code: str) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        assert error(await exchange(issuer, (await issuer.bound(key))["access_token"], key, agent)) == code

    play(scene)


def test_an_exchanged_token_renews_nothing(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        assert error(await issuer.renew(await given(issuer, key), key)) == "invalid_grant"

    play(scene)

"""Agents at the embedded issuer: by their key, by their secret, and what each of them must not do."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded import clients, people
from hoopx_broker.identity.embedded.assertions import ASSERTION
from hoopx_broker.identity.embedded.endpoints import CODE_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT, REFRESH_GRANT
from hoopx_broker.identity.embedded.tokens import ACCESS_LIFE
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalAgent
from tests.unit.identity_stage import EC_KEY, ED_KEY, RSA_KEY, Private, jwk, jwks, pem, segment, signed
from tests.unit.issuer_stage import ADDRESS, ALL, HOME, URL, VERIFIER, Issuer, Play, error, player, said, users

TOKEN = f"{URL}/token"
SECRET = "r3port: /bot+secret é== and more"
STRANGERS_KEY = ec.generate_private_key(ec.SECP256R1())
REVIEWER_KEYS = jwks(jwk(EC_KEY, "k1"), jwk(ED_KEY, "k2"))


def agents() -> dict[str, LocalAgent]:
    return {
        "reviewer-bot": LocalAgent("reviewer-bot", ("agents", "reviewers"), jwks=REVIEWER_KEYS),
        "other-bot": LocalAgent("other-bot", ("agents",), jwks=jwks(jwk(RSA_KEY, "k1"))),
        "report-bot": LocalAgent("report-bot", ("agents",), secret=Secret(SECRET)),
        "claude": LocalAgent("claude", ("agents",)),
    }


def config() -> EmbeddedIssuer:
    return EmbeddedIssuer(users(), agents=agents())


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db", config())


def assertion(
    issuer: Issuer, key: Private | str = EC_KEY, alg: str = "ES256", kid: str | None = "k1", **changes: Any
) -> str:
    """What an honest agent says of itself; a change to None takes the claim away."""
    honest: dict[str, Any] = {
        "iss": "reviewer-bot",
        "sub": "reviewer-bot",
        "aud": URL,
        "jti": f"a-{issuer.now}",
        "iat": int(issuer.now),
        "exp": int(issuer.now) + 60,
    }
    header = changes.pop("header", {})
    claims = {name: value for name, value in (honest | changes).items() if value is not None}
    return signed(claims, key, alg, kid, **header)


async def by_key(issuer: Issuer, said_so: str, key: ProofKey | None = None, **more: str) -> httpx2.Response:
    form = {"grant_type": CREDENTIALS_GRANT, "client_assertion_type": ASSERTION, "client_assertion": said_so} | more
    return await issuer.call("token", form, {"dpop": issuer.proof(key)} if key is not None else {})


def basic(name: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


async def by_secret(issuer: Issuer, name: str, secret: str, address: str = HOME) -> httpx2.Response:
    return await issuer.call("token", {"grant_type": CREDENTIALS_GRANT}, basic(name, secret), address)


# --- the way as it should be ------------------------------------------------------------------------------------


def test_an_agent_with_a_key_gets_a_token_of_its_own(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        answer = (await by_key(issuer, assertion(issuer))).json()
        assert answer | {"access_token": ""} == {
            "access_token": "",
            "token_type": "Bearer",
            "expires_in": ACCESS_LIFE,
            "scope": "groups",
        }
        claims = said(answer["access_token"])
        assert (claims["sub"], claims["client_id"], claims["hoopx_kind"]) == ("reviewer-bot", "reviewer-bot", "agent")
        who = await issuer.who(answer["access_token"])
        assert who == Principal("reviewer-bot", "agent", ("agents", "reviewers"), URL, "reviewer-bot")

    play(scene)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": TOKEN},
        {"aud": [URL]},
        {"aud": [URL, TOKEN]},
        {"key": ED_KEY, "alg": "EdDSA", "kid": "k2"},
        {"kid": None},
        {"iat": None},
        {"header": {"typ": "client-authentication+jwt"}},
        {"exp_in": 300},
        {"key": RSA_KEY, "alg": "PS256", "iss": "other-bot", "sub": "other-bot"},
    ],
)
def test_an_agent_may_say_it_in_more_than_one_way(play: Play, changes: dict[str, Any]) -> None:
    async def scene(issuer: Issuer) -> None:
        given = dict(changes)
        if "exp_in" in given:
            given["exp"] = int(issuer.now) + given.pop("exp_in")
        answer = await by_key(issuer, assertion(issuer, **given))
        assert answer.status_code == 200, issuer.notes

    play(scene)


def test_an_agent_with_a_secret_gets_a_token_by_header_or_by_form(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        posted = {"grant_type": CREDENTIALS_GRANT, "client_id": "report-bot", "client_secret": SECRET}
        plain = {"authorization": "Basic " + base64.b64encode(f"report-bot:{SECRET}".encode()).decode()}
        for answer in (
            await by_secret(issuer, "report-bot", SECRET),
            await issuer.call("token", {"grant_type": CREDENTIALS_GRANT}, plain),
            await issuer.call("token", posted),
        ):
            assert answer.status_code == 200, issuer.notes
            assert (await issuer.who(answer.json()["access_token"])).user == "report-bot"

    play(scene)


def test_the_token_of_an_agent_that_proves_a_key_is_bound_to_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        answer = (await by_key(issuer, assertion(issuer), key)).json()
        assert (answer["token_type"], said(answer["access_token"])["cnf"]) == ("DPoP", {"jkt": key.thumbprint})

    play(scene)


def test_the_groups_of_an_agent_are_those_configured_when_it_comes(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        token = (await by_key(issuer, assertion(issuer))).json()["access_token"]
        fewer = agents() | {"reviewer-bot": LocalAgent("reviewer-bot", ("readers",), jwks=REVIEWER_KEYS)}
        await issuer.start(issuer.store, EmbeddedIssuer(users(), agents=fewer))
        assert (await issuer.who(token)).groups == ("readers",)
        del fewer["reviewer-bot"]
        await issuer.start(issuer.store, EmbeddedIssuer(users(), agents=fewer))
        with pytest.raises(Exception, match="not accepted"):
            await issuer.who(token)

    play(scene)


# --- assertions that are none -----------------------------------------------------------------------------------


def unsigned(issuer: Issuer) -> str:
    return assertion(issuer, "", "none")


WRONG: dict[str, Callable[[Issuer], str]] = {
    "nothing": lambda issuer: "",
    "garbage": lambda issuer: "a.b.c",
    "giant": lambda issuer: "A" * 15_000,
    "alg none": unsigned,
    "HS256 with the public key": lambda issuer: hs256(issuer),
    "a stranger's key of the same kind": lambda issuer: assertion(issuer, STRANGERS_KEY),
    "a changed claim": lambda issuer: changed(assertion(issuer, exp=int(issuer.now)), exp=int(issuer.now) + 60),
    "a cut signature": lambda issuer: assertion(issuer)[:-2],
    "no signature": lambda issuer: assertion(issuer).rpartition(".")[0] + ".",
    "key of another agent": lambda issuer: assertion(issuer, RSA_KEY, "RS256"),
    "name of another agent": lambda issuer: assertion(issuer, iss="other-bot", sub="other-bot"),
    "unknown key id": lambda issuer: assertion(issuer, kid="k3"),
    "key id of the other key": lambda issuer: assertion(issuer, kid="k2"),
    "key in the header": lambda issuer: assertion(issuer, RSA_KEY, "RS256", header={"jwk": jwk(RSA_KEY, "k1")}),
    "key by a link": lambda issuer: assertion(issuer, RSA_KEY, "RS256", "e", header={"jku": "https://evil.example/k"}),
    "said by another": lambda issuer: assertion(issuer, iss="other-bot"),
    "said of another": lambda issuer: assertion(issuer, sub="other-bot"),
    "said of a person": lambda issuer: assertion(issuer, iss="ann", sub="ann"),
    "said of the people's program": lambda issuer: assertion(issuer, iss="hoopx-cli", sub="hoopx-cli"),
    "said of an agent with a secret": lambda issuer: assertion(issuer, iss="report-bot", sub="report-bot"),
    "said of nobody": lambda issuer: assertion(issuer, iss=None, sub=None),
    "said of a list": lambda issuer: assertion(issuer, sub=["reviewer-bot"]),
    "for another issuer": lambda issuer: assertion(issuer, aud="https://login.example.com"),
    "for another one, too": lambda issuer: assertion(issuer, aud=[URL, "https://login.example.com"]),
    "for the broker's audience": lambda issuer: assertion(issuer, aud="hoopx"),
    "for an endpoint beside": lambda issuer: assertion(issuer, aud=f"{URL}/revoke"),
    "for nobody": lambda issuer: assertion(issuer, aud=None),
    "for an empty list": lambda issuer: assertion(issuer, aud=[]),
    "without an end": lambda issuer: assertion(issuer, exp=None),
    "past its end": lambda issuer: assertion(issuer, exp=int(issuer.now)),
    "for too long": lambda issuer: assertion(issuer, exp=int(issuer.now) + 3600),
    "from the future": lambda issuer: assertion(issuer, iat=int(issuer.now) + 120, exp=int(issuer.now) + 180),
    "not yet": lambda issuer: assertion(issuer, nbf=int(issuer.now) + 120),
    "without an id": lambda issuer: assertion(issuer, jti=None),
    "with a giant id": lambda issuer: assertion(issuer, jti="j" * 300),
    "of another type": lambda issuer: assertion(issuer, header={"typ": "at+jwt"}),
    "a proof of possession": lambda issuer: assertion(issuer, header={"typ": "dpop+jwt"}),
    "with extensions": lambda issuer: assertion(issuer, header={"crit": ["b64"], "b64": False}),
}


def changed(token: str, **claims: Any) -> str:
    """With other claims under the old signature."""
    head, _, signature = token.split(".")
    return f"{head}.{segment(said(token) | claims)}.{signature}"


def hs256(issuer: Issuer) -> str:
    """The public key, as whoever has the JWKS knows it, taken for a shared secret."""
    claims = {
        "iss": "reviewer-bot",
        "sub": "reviewer-bot",
        "aud": URL,
        "jti": "h",
        "exp": int(issuer.now) + 60,
    }
    signing = f"{segment({'alg': 'HS256', 'typ': 'JWT', 'kid': 'k1'})}.{segment(claims)}"
    mac = hmac.new(pem(EC_KEY).encode(), signing.encode(), hashlib.sha256).digest()
    return f"{signing}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_assertion_is_refused_without_telling_why(play: Play, name: str) -> None:
    async def scene(issuer: Issuer) -> None:
        answer = await by_key(issuer, WRONG[name](issuer))
        assert answer.status_code == 401
        assert answer.json() == {"error": "invalid_client", "error_description": "this client is not accepted here"}
        assert issuer.notes

    play(scene)


def test_an_assertion_serves_once_also_after_a_restart(play: Play) -> None:
    kept: list[str] = []

    async def before(issuer: Issuer) -> None:
        kept.append(assertion(issuer))
        assert (await by_key(issuer, kept[0])).status_code == 200
        assert error(await by_key(issuer, kept[0])) == "invalid_client"

    async def after(issuer: Issuer) -> None:
        assert error(await by_key(issuer, kept[0])) == "invalid_client"
        assert (await by_key(issuer, assertion(issuer, jti="another"))).status_code == 200

    play(before)
    play(after)


def test_the_id_of_one_agents_assertion_is_free_for_another(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        assert (await by_key(issuer, assertion(issuer, jti="same"))).status_code == 200
        other = assertion(issuer, RSA_KEY, "RS256", iss="other-bot", sub="other-bot", jti="same")
        assert (await by_key(issuer, other)).status_code == 200

    play(scene)


def test_an_assertion_goes_with_the_name_beside_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await by_key(issuer, assertion(issuer), client_id="other-bot")) == "invalid_client"
        assert (await by_key(issuer, assertion(issuer), client_id="reviewer-bot")).status_code == 200

    play(scene)


def test_an_assertion_of_an_unknown_type_is_refused(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        form = {"grant_type": CREDENTIALS_GRANT, "client_assertion": assertion(issuer)}
        saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        for more in ({}, {"client_assertion_type": saml}):
            assert error(await issuer.call("token", form | more)) == "invalid_client"

    play(scene)


# --- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("report-bot", "wrong"),
        ("report-bot", ""),
        ("report-bot", SECRET + " "),
        ("REPORT-BOT", SECRET),
        ("claude", SECRET),
        ("claude", ""),
        ("reviewer-bot", SECRET),
        ("hoopx-cli", SECRET),
        ("hoopx-cli", ""),
        ("ann", "ann's password"),
        ("nobody", SECRET),
        ("", ""),
    ],
)
def test_a_wrong_secret_is_refused_without_telling_why(play: Play, name: str, secret: str) -> None:
    async def scene(issuer: Issuer) -> None:
        form = {"grant_type": CREDENTIALS_GRANT, "client_id": name, "client_secret": secret}
        for answer in (await by_secret(issuer, name, secret), await issuer.call("token", form)):
            assert (answer.status_code, error(answer)) == (401, "invalid_client")
        assert not any(SECRET in note for note in issuer.notes)
        assert (await by_secret(issuer, "report-bot", "wrong")).headers["www-authenticate"].startswith("Basic")

    play(scene)


def test_secrets_cannot_be_guessed_for_long_from_one_place(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        for number in range(clients.MAX_FAILURES):
            assert error(await by_secret(issuer, "report-bot", f"guess {number}", "198.51.100.66")) == "invalid_client"
        shut = await by_secret(issuer, "report-bot", SECRET, "198.51.100.66")
        assert (shut.status_code, error(shut)) == (429, "temporarily_unavailable")
        assert (await by_secret(issuer, "report-bot", SECRET)).status_code == 200  # elsewhere it goes on
        issuer.now += clients.FAILURE_WINDOW
        assert (await by_secret(issuer, "report-bot", SECRET, "198.51.100.66")).status_code == 200

    play(scene)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic " + "A" * 5000, "Bearer x", "Basic bm8tY29sb24=", "Basic /w=="]
)
def test_a_header_that_is_no_clients_is_refused(play: Play, header: str) -> None:
    async def scene(issuer: Issuer) -> None:
        answer = await issuer.call("token", {"grant_type": CREDENTIALS_GRANT}, {"authorization": header})
        assert error(answer) == "invalid_request"

    play(scene)


def test_a_client_proves_itself_in_one_way(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        both = {"client_assertion_type": ASSERTION, "client_assertion": assertion(issuer), "client_secret": SECRET}
        assert error(await issuer.call("token", {"grant_type": CREDENTIALS_GRANT} | both)) == "invalid_request"
        form = {"grant_type": CREDENTIALS_GRANT, "client_id": "report-bot", "client_secret": SECRET}
        assert error(await issuer.call("token", form, basic("report-bot", SECRET))) == "invalid_request"

    play(scene)


# --- what an agent must not do ----------------------------------------------------------------------------------


def grants(device: str, code: str, refresh: str) -> list[dict[str, str]]:
    return [
        {"grant_type": DEVICE_GRANT, "device_code": device},
        {"grant_type": CODE_GRANT, "code": code, "redirect_uri": ADDRESS, "code_verifier": VERIFIER},
        {"grant_type": REFRESH_GRANT, "refresh_token": refresh},
    ]


def test_an_agent_cannot_redeem_what_a_person_allowed(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        device, code = await issuer.ask(), await issuer.code()
        await issuer.decide(device["user_code"])
        refresh = (await issuer.log_in())["refresh_token"]
        for form in grants(device["device_code"], code, refresh):
            answer = await issuer.call("token", form, basic("report-bot", SECRET))
            assert error(answer) == "unauthorized_client"
            assert error(await issuer.call("token", form | {"client_id": "claude"})) == "unauthorized_client"
            proved = {"client_assertion_type": ASSERTION, "client_assertion": assertion(issuer, jti=form["grant_type"])}
            assert error(await issuer.call("token", form | proved)) == "unauthorized_client"
            right = await issuer.call("token", form | {"client_id": "hoopx-cli"})
            assert right.status_code == 200, "what an agent tried is not spent"

    play(scene)


def test_an_agent_cannot_ask_a_person_to_log_it_in(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        asked = await issuer.call("device_authorization", {"scope": ALL}, basic("report-bot", SECRET))
        assert error(asked) == "unauthorized_client"
        assert error(await issuer.post("device_authorization", client_id="claude", scope=ALL)) == "unauthorized_client"
        async with issuer.visitor() as browser:
            page = await browser.get("/oidc/authorize", params=issuer.asking(client_id="report-bot"))
            assert page.status_code == 400

    play(scene)


def test_an_agent_cannot_end_a_persons_login(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        refresh = (await issuer.log_in())["refresh_token"]
        answer = await issuer.call("revoke", {"token": refresh}, basic("report-bot", SECRET))
        assert error(answer) == "unauthorized_client"
        assert (await issuer.renew(refresh)).status_code == 200

    play(scene)


@pytest.mark.parametrize("client", ["claude", "hoopx-cli"])
def test_who_has_no_credential_gets_no_token_of_its_own(play: Play, client: str) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await issuer.token(CREDENTIALS_GRANT, client_id=client)) == "unauthorized_client"

    play(scene)


@pytest.mark.parametrize("client", ["reviewer-bot", "report-bot"])
def test_an_agent_with_a_credential_cannot_leave_it_out(play: Play, client: str) -> None:
    async def scene(issuer: Issuer) -> None:
        assert error(await issuer.token(CREDENTIALS_GRANT, client_id=client)) == "invalid_client"

    play(scene)


def test_a_name_that_is_long_or_odd_does_not_flood_the_log(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        await issuer.token(CREDENTIALS_GRANT, client_id="x" * 10_000)
        await issuer.token(CREDENTIALS_GRANT, client_id="a\x1b[2J\nfake: line")
        assert all(len(note) < 300 and note.isprintable() for note in issuer.notes)
        assert len(issuer.notes) == 2

    play(scene)

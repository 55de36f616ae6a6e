"""Proofs of possession at the token endpoint (RFC 9449): what is bound to a key is of use with that key alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.embedded import people
from hoopx_broker.identity.embedded.endpoints import CODE_GRANT, DEVICE_GRANT, REFRESH_GRANT
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.proofs import MAX_KEYS, WINDOW
from hoopx_broker.terms.secret import Secret
from tests.unit.identity_stage import EC_KEY, jwk, signed
from tests.unit.issuer_stage import ADDRESS, URL, VERIFIER, Issuer, Play, error, player, said

TOKEN = f"{URL}/token"
STRANGERS_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db")


# --- what is bound ----------------------------------------------------------------------------------------------


def test_tokens_of_a_device_that_proves_a_key_are_bound_to_it(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key, device = ProofKey.create(), await issuer.ask()
        await issuer.decide(device["user_code"])
        tokens = (await issuer.token(DEVICE_GRANT, key, device_code=device["device_code"])).json()
        assert tokens["token_type"] == "DPoP"
        assert said(tokens["access_token"])["cnf"] == {"jkt": key.thumbprint}
        await issuer.identify(Secret(tokens["access_token"]), key.thumbprint)

    play(scene)


def test_a_login_without_a_proof_stays_a_bearers(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        tokens = (await issuer.redeem(await issuer.code())).json()
        assert tokens["token_type"] == "Bearer"
        assert "cnf" not in said(tokens["access_token"])
        assert (await issuer.renew(tokens["refresh_token"])).json()["token_type"] == "Bearer"

    play(scene)


def test_a_bound_login_is_renewed_by_its_key_again_and_again(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        tokens = await issuer.bound(key)
        for _ in range(3):
            issuer.now += 600
            answer = await issuer.renew(tokens["refresh_token"], key)
            assert answer.status_code == 200, answer.text
            tokens = answer.json()
            assert said(tokens["access_token"])["cnf"] == {"jkt": key.thumbprint}

    play(scene)


def test_an_unbound_login_is_not_taken_over_by_the_first_key_that_comes(play: Play) -> None:
    """Else a thief could bind what they stole, and its owner could not even end it."""

    async def scene(issuer: Issuer) -> None:
        stolen = (await issuer.redeem(await issuer.code())).json()["refresh_token"]
        thiefs = (await issuer.renew(stolen, ProofKey.create())).json()
        assert error(await issuer.renew(stolen)) == "invalid_grant"  # the owner comes: the login ends
        assert error(await issuer.renew(thiefs["refresh_token"], ProofKey.create())) == "invalid_grant"
        assert error(await issuer.renew(thiefs["refresh_token"])) == "invalid_grant"

    play(scene)


@pytest.mark.parametrize("is_spent", [False, True])
def test_a_copied_refresh_token_without_its_key_opens_nothing_and_ends_nothing(play: Play, is_spent: bool) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        copied = (await issuer.bound(key))["refresh_token"]
        owned = (await issuer.renew(copied, key)).json()["refresh_token"] if is_spent else copied
        for thiefs in (None, ProofKey.create()):
            assert error(await issuer.renew(copied, thiefs)) == "invalid_grant"
        answer = await issuer.renew(owned, key)
        assert answer.status_code == 200
        assert (await issuer.identify(Secret(answer.json()["access_token"]))).who.user == "ann"

    play(scene)


def test_a_bound_refresh_token_that_its_own_key_uses_twice_ends_the_login(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        first = await issuer.bound(key)
        second = (await issuer.renew(first["refresh_token"], key)).json()
        for token in (first, second):
            assert error(await issuer.renew(token["refresh_token"], key)) == "invalid_grant"
        with pytest.raises(Exception, match="not accepted"):
            await issuer.identify(Secret(second["access_token"]))

    play(scene)


def test_the_key_of_a_login_is_known_after_a_restart(play: Play) -> None:
    key, kept = ProofKey.create(), []

    async def before(issuer: Issuer) -> None:
        kept.append((await issuer.bound(key))["refresh_token"])

    async def after(issuer: Issuer) -> None:
        assert error(await issuer.renew(kept[0])) == "invalid_grant"
        assert (await issuer.renew(kept[0], key)).status_code == 200

    play(before)
    play(after)


@pytest.mark.parametrize("is_spent", [False, True])
def test_the_register_of_logins_itself_turns_nothing_for_another_key(play: Play, is_spent: bool) -> None:
    async def scene(issuer: Issuer) -> None:
        key, logins = ProofKey.create(), issuer.embedded.tokens.logins
        copied = (await issuer.bound(key))["refresh_token"]
        owned = (await issuer.renew(copied, key)).json()["refresh_token"] if is_spent else copied
        for thiefs in (None, ProofKey.create().thumbprint):
            with pytest.raises(OAuthError, match="invalid_grant"):
                await logins.turn(copied, "the thief's", "hoopx-cli", thiefs)
        assert (await logins.turn(owned, "the owner's", "hoopx-cli", key.thumbprint)).user == "ann"
        with pytest.raises(OAuthError, match="invalid_grant"):
            await logins.check("the thief's", key.thumbprint)

    play(scene)


@pytest.mark.parametrize("how", ["refresh token twice", "code twice", "logged out"])
def test_what_a_login_has_open_ends_with_it_and_stays_ended_after_a_restart(play: Play, how: str) -> None:
    key, kept = ProofKey.create(), []

    async def before(issuer: Issuer) -> None:
        heard: list[str] = []
        issuer.standing.on_change(lambda: heard.append("somebody is out"))
        code = await issuer.code()
        tokens = (await issuer.redeem(code, key)).json()
        identity = await issuer.gate.exchanged(Secret(tokens["access_token"]), key.thumbprint)
        assert (heard, issuer.standing.against(identity)) == ([], None)
        match how:
            case "refresh token twice":
                await issuer.renew(tokens["refresh_token"], key)
                await issuer.renew(tokens["refresh_token"], key)
            case "code twice":
                await issuer.redeem(code, key)
            case _:
                await issuer.post("revoke", client_id="hoopx-cli", token=tokens["refresh_token"])
        revocation = issuer.standing.against(identity)
        assert heard == ["somebody is out"]
        assert revocation is not None
        assert (revocation.kind, revocation.issuer) == ("login", URL)
        kept.append(tokens["access_token"])

    async def after(issuer: Issuer) -> None:
        with pytest.raises(Exception, match="not accepted"):
            await issuer.identify(Secret(kept[0]))
        await issuer.identify(Secret((await issuer.bound(key))["access_token"]))

    play(before)
    play(after)


# --- proofs that are none ---------------------------------------------------------------------------------------


def forged(issuer: Issuer, alg: str, key: object) -> str:
    claims = {"jti": "1", "htm": "POST", "htu": TOKEN, "iat": int(issuer.now)}
    return signed(claims, key, alg, None, typ="dpop+jwt", jwk=jwk(EC_KEY, None))  # type: ignore[arg-type]


def _private(issuer: Issuer) -> str:
    claims = {"jti": "1", "htm": "POST", "htu": TOKEN, "iat": int(issuer.now)}
    return signed(claims, EC_KEY, "ES256", None, typ="dpop+jwt", jwk=jwk(EC_KEY, None) | {"d": "AAAA"})


WRONG: dict[str, Callable[[Issuer, ProofKey], str]] = {
    "nothing": lambda issuer, key: "",
    "garbage": lambda issuer, key: "not.a.proof",
    "giant": lambda issuer, key: "A" * 5000,
    "other method": lambda issuer, key: key.prove("GET", TOKEN, issuer.now),
    "other endpoint": lambda issuer, key: key.prove("POST", f"{URL}/revoke", issuer.now),
    "other host": lambda issuer, key: key.prove("POST", "https://evil.example/oidc/token", issuer.now),
    "other spelling": lambda issuer, key: key.prove("POST", TOKEN + "/", issuer.now),
    "plain http": lambda issuer, key: key.prove("POST", TOKEN.replace("https", "http"), issuer.now),
    "too old": lambda issuer, key: key.prove("POST", TOKEN, issuer.now - WINDOW - 1),
    "too young": lambda issuer, key: key.prove("POST", TOKEN, issuer.now + WINDOW + 1),
    "no type": lambda issuer, key: key.sign({"alg": "ES256"}, {"htm": "POST", "htu": TOKEN, "iat": issuer.now}),
    "alg none": lambda issuer, key: forged(issuer, "none", ""),
    "HS256 by a word": lambda issuer, key: forged(issuer, "HS256", "the public key, say, as the secret"),
    "signed by another key": lambda issuer, key: forged(issuer, "ES256", STRANGERS_KEY),
    "private key shown": lambda issuer, key: _private(issuer),
    "two in one": lambda issuer, key: issuer.proof(key) + ", " + issuer.proof(key),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_proof_is_refused_and_costs_the_owner_nothing(play: Play, name: str) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        refresh = (await issuer.bound(key))["refresh_token"]
        code = await issuer.code()
        device = await issuer.ask()
        await issuer.decide(device["user_code"])
        forms = [
            {"grant_type": REFRESH_GRANT, "refresh_token": refresh},
            {"grant_type": CODE_GRANT, "code": code, "redirect_uri": ADDRESS, "code_verifier": VERIFIER},
            {"grant_type": DEVICE_GRANT, "device_code": device["device_code"]},
        ]
        for form in forms:
            wrong = {"dpop": WRONG[name](issuer, key)}
            answer = await issuer.call("token", form | {"client_id": "hoopx-cli"}, wrong)
            assert error(answer) == "invalid_dpop_proof"
            right = await issuer.call("token", form | {"client_id": "hoopx-cli"}, {"dpop": issuer.proof(key)})
            assert right.status_code == 200, right.text

    play(scene)


def test_a_clock_that_is_off_is_told_so(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        stale = {"dpop": key.prove("POST", TOKEN, issuer.now - 3600)}
        form = {"client_id": "hoopx-cli", "grant_type": REFRESH_GRANT, "refresh_token": "x"}
        answer = await issuer.call("token", form, stale)
        assert "set the clock" in answer.json()["error_description"]

    play(scene)


def test_a_proof_serves_once_and_its_second_use_costs_the_owner_nothing(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        first, second = await issuer.bound(key), await issuer.bound(key)
        proof = {"dpop": issuer.proof(key)}
        form = {"client_id": "hoopx-cli", "grant_type": REFRESH_GRANT}
        used = await issuer.call("token", form | {"refresh_token": first["refresh_token"]}, proof)
        assert used.status_code == 200
        again = await issuer.call("token", form | {"refresh_token": second["refresh_token"]}, proof)
        assert error(again) == "invalid_dpop_proof"
        assert (await issuer.renew(second["refresh_token"], key)).status_code == 200

    play(scene)


def test_two_proofs_at_once_are_none(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        refresh = (await issuer.bound(key))["refresh_token"]
        async with issuer.visitor() as client:
            answer = await client.post(
                "/oidc/token",
                data={"client_id": "hoopx-cli", "grant_type": REFRESH_GRANT, "refresh_token": refresh},
                headers=[("dpop", issuer.proof(key)), ("dpop", issuer.proof(key))],
            )
        assert error(answer) == "invalid_dpop_proof"

    play(scene)


def test_strangers_cannot_fill_the_memory_of_proofs(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopx_broker.identity.proofs.MAX_KEYS", 5)
    assert MAX_KEYS > 5

    async def scene(issuer: Issuer) -> None:
        key = ProofKey.create()
        refresh = (await issuer.bound(key))["refresh_token"]
        device = await issuer.ask()
        for _ in range(10):
            stranger = ProofKey.create()
            assert error(await issuer.renew("made-up", stranger)) == "invalid_grant"
            assert error(await issuer.renew(refresh, stranger)) == "invalid_grant"
            assert error(await issuer.redeem("made-up", stranger)) == "invalid_grant"
            waiting = await issuer.token(DEVICE_GRANT, stranger, device_code=device["device_code"])
            assert error(waiting) in ("authorization_pending", "slow_down")
        assert (await issuer.renew(refresh, key)).status_code == 200

    play(scene)


def test_a_device_may_poll_with_a_fresh_proof_each_time(play: Play) -> None:
    async def scene(issuer: Issuer) -> None:
        key, device = ProofKey.create(), await issuer.ask()
        for _ in range(3):
            waiting = await issuer.token(DEVICE_GRANT, key, device_code=device["device_code"])
            assert error(waiting) == "authorization_pending"
            issuer.now += device["interval"]
        await issuer.decide(device["user_code"])
        assert (await issuer.token(DEVICE_GRANT, key, device_code=device["device_code"])).status_code == 200

    play(scene)

"""Who is out: users that were revoked, and logins that their provider ended by a logout token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.identity import Identity, Login, Presented
from hoopx_broker.identity.standing import Revocation, Standing
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from tests.peers.state import state_in
from tests.unit.identity_stage import EC_KEY, NOW, URL, claims, human, signed
from tests.unit.test_identity_binding import House, play

pytestmark = pytest.mark.usefixtures("each_state")

EVENT = "http://schemas.openid.net/event/backchannel-logout"


def identity(user: str = "ann", began_at: float = NOW, sid: str = "", subject: str = "u-1", **who: Any) -> Identity:
    return Identity(Principal(user, "human", **who), Login(URL, subject, began_at, sid), began_at, NOW + 600)


def revocation(name: str = "ann", **changes: Any) -> Revocation:
    given: dict[str, Any] = {"kind": "user", "issuer": "", "name": name, "at": NOW, "revoked_by": "sam", "reason": ""}
    return Revocation(**(given | changes))


def said_to(path: Path, *revocations: Revocation) -> Standing:
    """What a broker knows that was started again after it heard these."""

    async def scene() -> Standing:
        store = await Store.open(state_in(path))
        try:
            standing = await Standing.load(store, lambda: NOW)
            for each in revocations:
                await standing.revoke(each)
            return await Standing.load(store, lambda: NOW)
        finally:
            await store.close()

    return asyncio.run(scene())


def test_a_revoked_user_is_out_however_new_the_login(tmp_path: Path) -> None:
    standing = said_to(tmp_path, revocation())
    assert standing.against(identity(began_at=NOW + 9999)) == revocation()
    assert standing.against(identity("bob")) is None
    assert standing.against(identity("Ann")) is None


def test_agents_of_a_revoked_human_are_out_and_so_is_the_agent_for_everybody(tmp_path: Path) -> None:
    standing = said_to(tmp_path, revocation("ann"), revocation("bot"))
    assert standing.against(identity("claude", on_behalf_of="ann")) is not None
    assert standing.against(identity("claude", on_behalf_of="bob")) is None
    assert standing.against(identity("bot", on_behalf_of="bob")) is not None


def test_a_logged_out_subject_may_log_in_again(tmp_path: Path) -> None:
    standing = said_to(tmp_path, revocation("u-1", kind="subject", issuer=URL))
    assert standing.against(identity(began_at=NOW)) is not None
    assert standing.against(identity(began_at=NOW + 1)) is None
    assert standing.against(identity(began_at=NOW, subject="u-2")) is None


def test_a_logged_out_session_of_the_provider_is_over_for_good_and_others_of_the_person_go_on(tmp_path: Path) -> None:
    standing = said_to(tmp_path, revocation("sid-1", kind="login", issuer=URL))
    assert standing.against(identity(sid="sid-1", began_at=NOW + 9999)) is not None
    assert standing.against(identity(sid="sid-2")) is None
    assert standing.against(identity()) is None


def test_logins_that_came_without_a_name_may_be_the_one_that_was_ended(tmp_path: Path) -> None:
    ended = revocation("sid-1", kind="login", issuer=URL), revocation("u-1", kind="nameless", issuer=URL)
    standing = said_to(tmp_path, *ended)
    assert standing.against(identity()) is not None
    assert standing.against(identity(began_at=NOW + 1)) is None
    assert standing.against(identity(sid="sid-2")) is None


def test_names_of_one_issuer_are_not_those_of_another(tmp_path: Path) -> None:
    elsewhere = "https://other.example.com"
    standing = said_to(
        tmp_path,
        revocation("u-1", kind="subject", issuer=elsewhere),
        revocation("sid-1", kind="login", issuer=elsewhere),
    )
    assert standing.against(identity(sid="sid-1")) is None


def test_an_earlier_word_does_not_undo_a_later_one(tmp_path: Path) -> None:
    later = revocation("u-1", kind="subject", issuer=URL, at=NOW + 50)
    standing = said_to(tmp_path, later, revocation("u-1", kind="subject", issuer=URL, at=NOW))
    assert standing.against(identity(began_at=NOW + 50)) is not None


def test_the_gate_lets_nobody_in_who_is_out_and_tells_them_no_more_than_others(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = signed(claims())
        assert (await house.calls(token)).who.user == "ann@example.com"
        assert house.gate._registers is not None
        standing = house.gate._registers.standing
        await standing.revoke(revocation("ann@example.com"))
        assert "revoked" in await house.refuses(token)
        assert "revoked" in await house.refuses(signed(claims(iat=NOW, auth_time=NOW)))
        assert await standing.restore("ann@example.com")
        assert not await standing.restore("ann@example.com")
        assert "former was revoked" in await house.refuses(token)
        fresh = signed(claims(iat=NOW + 1, auth_time=NOW + 1))
        assert (await house.calls(fresh, ProofKey.create())).who.user == "ann@example.com"

    async def after_a_restart(house: House) -> None:
        assert "former was revoked" in await house.refuses(signed(claims()))
        assert "former was revoked" in await house.refuses(signed(claims(iat=NOW + 2, auth_time=NOW)))

    play(tmp_path, scene)
    play(tmp_path, after_a_restart)


def test_a_renewed_token_belongs_to_the_login_that_is_over(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.gate.logout(logout())
        assert "subject was revoked" in await house.refuses(signed(claims(iat=NOW + 30, auth_time=NOW - 500)))
        assert "subject was revoked" in await house.refuses(signed(claims(iat=None, auth_time=None)))
        fresh = signed(claims(iat=NOW + 30, auth_time=NOW + 20))
        assert (await house.calls(fresh)).login.began_at == NOW + 20

    play(tmp_path, scene)


def test_where_renewed_tokens_do_not_tell_when_their_login_began_its_key_does(tmp_path: Path) -> None:
    async def before(house: House) -> None:
        await house.calls(signed(claims(iat=NOW - 900)))
        await house.gate.logout(logout())
        house.now = NOW + 60
        assert "subject was revoked" in await house.refuses(signed(claims(iat=NOW + 50)))
        again = await house.calls(signed(claims(iat=NOW + 51)), ProofKey.create())
        assert again.login.began_at == NOW + 51

    async def after_a_restart(house: House) -> None:
        house.now = NOW + 60
        assert "subject was revoked" in await house.refuses(signed(claims(iat=NOW + 55)))

    play(tmp_path, before)
    play(tmp_path, after_a_restart)


# Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.6).


def logout(key: Any = None, typ: str | None = "logout+jwt", **changes: Any) -> str:
    said = {
        "iss": URL,
        "aud": "hoopx-cli",
        "sub": "u-1",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "one",
        "events": {EVENT: {}},
    } | changes
    honest = {name: value for name, value in said.items() if value is not None}
    header = {"typ": typ} if typ is not None else {}
    return signed(honest, **({"key": key, "alg": "ES256", "kid": "r1"} if key else {}), **header)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"typ": "JWT"},
        {"typ": None},
        {"aud": ["hoopx-cli"]},
        {"exp": None},
        {"sid": "s-1"},
        {"sid": "s-1", "sub": None},
    ],
)
def test_a_providers_word_is_taken(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def scene(house: House) -> None:
        heard = [(each.kind, each.name) for each in (await house.gate.logout(logout(**changes))).revocations]
        if "sid" not in changes:
            assert heard == [("subject", "u-1")]
        else:
            assert heard == [("login", "s-1"), *([] if "sub" in changes else [("nameless", "u-1")])]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example.com"}, "not from an issuer"),
        ({"aud": "hoopx"}, "not from an issuer"),
        ({"aud": ["hoopx-cli", "another"]}, "not from an issuer"),
        ({"aud": None}, "not from an issuer"),
        ({"typ": "at+jwt"}, "of type"),
        ({"typ": "dpop+jwt"}, "of type"),
        ({"key": EC_KEY}, "not one of"),
        ({"nonce": "n"}, "nonce"),
        ({"events": None}, "does not tell of a logout"),
        ({"events": {}}, "does not tell of a logout"),
        ({"events": [EVENT]}, "does not tell of a logout"),
        ({"events": {EVENT: "yes"}}, "does not tell of a logout"),
        ({"sub": None}, "`sub`"),
        ({"sid": 7}, "`sid`"),
        ({"sid": ""}, "`sid`"),
        ({"jti": None}, "`jti`"),
        ({"iat": None}, "old"),
        ({"iat": NOW - 400}, "old"),
        ({"iat": NOW + 400}, "future"),
        ({"exp": NOW - 1}, "past its end"),
    ],
)
def test_what_is_no_logout_of_a_login_here_ends_nothing(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    async def scene(house: House) -> None:
        with pytest.raises(Unauthenticated) as caught:
            await house.gate.logout(logout(**changes))
        assert (caught.value.message, caught.value.hint) == ("this token is not accepted", "")
        assert why in house.notes[-1]
        assert (await house.calls(signed(claims()))).who.user == "ann@example.com"

    play(tmp_path, scene)


def test_a_logout_token_counts_once(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = logout()
        await house.gate.logout(token)
        with pytest.raises(Unauthenticated):
            await house.gate.logout(token)
        assert "came before" in house.notes[-1]

    play(tmp_path, scene)


def test_a_login_is_no_logout_and_a_logout_no_login(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        with pytest.raises(Unauthenticated):
            await house.gate.logout(signed(claims(aud="hoopx-cli", jti="one")))
        for typ in ("logout+jwt", "JWT"):
            with pytest.raises(Unauthenticated):
                await house.gate.identify(Presented(Secret(logout(typ=typ))))

    play(tmp_path, scene)


def test_an_issuer_without_a_client_of_ours_logs_nobody_out(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        with pytest.raises(Unauthenticated):
            await house.gate.logout(logout(aud="https://broker.example.com"))

    play(tmp_path, scene, human(client_id=None, kind="workload", audience="https://broker.example.com"))

"""Ways round the checks of who asks that a hostile reading of the whole found, each beside its honest twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity import memberships as memberships_room
from hoopx_broker.identity import proofs
from hoopx_broker.identity.embedded import people
from hoopx_broker.identity.embedded.codes import MAX_OPEN_PEER
from hoopx_broker.identity.embedded.issuer import MAX_FAILURES_FROM, MAX_GUESSES
from hoopx_broker.identity.embedded.neighbours import network_of
from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.memberships import Memberships, groups_lost
from hoopx_broker.identity.proofs import Proof, Spent
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalAgent
from tests.unit.identity_stage import NOW, claims, signed
from tests.unit.issuer_stage import ALL, Issuer, fields, player, users
from tests.unit.test_identity_binding import JOB, House, play

# Proofs that are remembered: whoever may call at all must not be able to use the room of everybody.


def test_one_bearer_with_ever_new_keys_keeps_nobody_else_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MAX_KEYS", 30)
    monkeypatch.setattr(proofs, "MAX_KEYS_EACH", 10, raising=False)

    async def scene(house: House) -> None:
        copied = signed(claims(**JOB))
        for number in range(10):  # the steps of a job are processes of their own, each with a key
            assert (await house.calls(copied, ProofKey.create(), "bearer")).who.kind == "job", number
        for _ in range(40):
            await house.refuses(copied, ProofKey.create(), "bearer")
        assert (await house.calls(signed(claims()))).who.user == "ann@example.com"
        house.now += 2 * proofs.WINDOW + 1
        assert (await house.calls(copied, ProofKey.create(), "bearer")).who.kind == "job"

    play(tmp_path, scene)


def test_proofs_that_are_refused_for_want_of_room_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MAX_KEYS", 5)
    spent = Spent(lambda: NOW)
    for number in range(5):
        spent.spend(Proof(f"key {number}", "a", NOW), f"person {number}")
    for number in range(5, 100):
        with pytest.raises(NotAccepted, match="remembered"):
            spent.spend(Proof(f"key {number}", "a", NOW), f"person {number}")
    assert len(spent) == 5
    spent.spend(Proof("key 0", "b", NOW), "person 0")  # who is known goes on


def test_an_agent_with_ever_new_keys_keeps_nobody_from_logging_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "MAX_KEYS", 30)
    monkeypatch.setattr(proofs, "MAX_KEYS_EACH", 10, raising=False)
    secret = "a-secret-of-enough-signs-for-an-agent"
    config = EmbeddedIssuer(users(), agents={"bot": LocalAgent("bot", ("agents",), secret=Secret(secret))})

    async def scene(issuer: Issuer) -> None:
        form = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": secret}
        statuses = [
            (await issuer.call("token", form, {"dpop": issuer.proof(ProofKey.create())})).status_code for _ in range(50)
        ]
        assert statuses.count(200) == 10
        assert (await issuer.bound(ProofKey.create()))["token_type"] == "DPoP"

    player(tmp_path / "state.db", config)(scene)


# Groups: what the newest token of a person and program says.


def of_ann(*groups: str, at: float = NOW, user: str = "ann", client: str = "cli", subject: str = "1") -> Identity:
    login = Login("https://login.example.com", subject, NOW)
    return Identity(Principal(user, "human", groups, login.issuer, subject), login, at, at + 600, "key", client=client)


def for_ann(*groups: str, at: float = NOW) -> Identity:
    who = Principal("claude", "agent", ("agents",), "us", "claude", on_behalf_of="ann", their_groups=groups)
    return Identity(who, of_ann().login, at, at + 600, "key", is_bound=True, client="claude")


def lost(known: list[Identity], before: Identity) -> set[str]:
    memberships = Memberships()
    for each in known:
        memberships.learn(each)
    return set(memberships.lost(before))


@pytest.mark.parametrize("before", [of_ann("dba", "dev"), for_ann("dba", "dev")])
def test_a_newer_token_with_fewer_groups_counts_for_older_ones_and_for_agents(before: Identity) -> None:
    assert lost([of_ann("dev", at=NOW + 1)], before) == {"dba"}
    assert lost([of_ann("dev", at=NOW + 1), of_ann("dev", "dba", at=NOW + 2)], before) == set()
    assert lost([of_ann("dev", "dba", at=NOW + 2), of_ann("dev", at=NOW + 1)], before) == set()
    assert lost([of_ann("dev", at=NOW)], before) == set()
    assert lost([of_ann("dev", at=NOW + 1, subject="2")], before) == set()


def test_another_program_that_is_told_no_groups_takes_nothing_away() -> None:
    other = of_ann(at=NOW + 2, client="another-program")
    assert lost([other], of_ann("dba")) == set()
    assert lost([of_ann("dba", at=NOW + 1), other], for_ann("dba")) == set()


def test_people_whose_tokens_have_no_subject_are_not_taken_for_one() -> None:
    fewer = of_ann(at=NOW + 1, user="bob", subject="")
    assert lost([fewer], of_ann("dba", subject="")) == set()
    assert groups_lost(of_ann("dba", subject=""), fewer) == frozenset()
    assert lost([fewer], of_ann("dba", user="bob", subject="")) == {"dba"}


def test_what_is_remembered_of_people_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships_room, "MAX_PEOPLE", 10)
    known = [of_ann(at=NOW + 1, subject=str(number)) for number in range(50)]
    assert lost(known, of_ann("dba", subject="49")) == {"dba"}
    assert lost(known, of_ann("dba", subject="1")) == set()
    programs = [of_ann(at=NOW + 1 + number, client=str(number)) for number in range(50)]
    assert lost(programs, of_ann("dba", client="49")) == {"dba"}
    assert lost(programs, of_ann("dba", client="1")) == set()


# Bounds by address: of IPv6, anybody has as many addresses as they like.


@pytest.mark.parametrize(
    ("one", "other", "is_near"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8", False),
        ("192.0.2.7", "192.0.2.8", False),
        ("an unknown address", "an unknown address", True),
    ],
)
def test_neighbours_of_one_network_count_together(one: str, other: str, is_near: bool) -> None:
    assert (network_of(one) == network_of(other)) is is_near


def test_one_network_cannot_take_all_device_codes_or_guess_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_COST", 2)

    async def scene(issuer: Issuer) -> None:
        for number in range(MAX_OPEN_PEER):
            await issuer.ask(f"2001:db8:6:6::{number:x}")
        more = await issuer.post("device_authorization", "2001:db8:6:6:a::1", client_id="hoopx-cli", scope=ALL)
        assert more.status_code == 429
        device = await issuer.ask("2001:db8:7:7::1")
        statuses = []
        for number in range(MAX_GUESSES + 1):
            async with issuer.visitor(f"2001:db8:6:6:b::{number:x}") as guesser:
                statuses.append((await guesser.post("/oidc/device", data={"user_code": "BBBB-BBBB"})).status_code)
        assert statuses == [400] * MAX_GUESSES + [429]
        async with issuer.visitor("2001:db8:7:7::2") as person:
            page = await person.post("/oidc/device", data={"user_code": device["user_code"]})
            assert page.status_code == 200
        tries = []
        for number in range(MAX_FAILURES_FROM + 1):
            async with issuer.visitor(f"2001:db8:8:8::{number:x}") as sprayer:
                page = await sprayer.post("/oidc/device", data={"user_code": device["user_code"]})
                form = fields(page) | {"user": f"user-{number}", "password": "summer"}
                tries.append((await sprayer.post("/oidc/login", data=form)).status_code)
        assert tries == [400] * MAX_FAILURES_FROM + [429]

    player(tmp_path / "state.db")(scene)


# When a login began.


def test_a_login_does_not_begin_tomorrow_so_that_a_logout_today_does_not_reach_it(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        assert "lies in the future" in await house.refuses(signed(claims(auth_time=NOW + 86_400)))
        assert (await house.calls(signed(claims(auth_time=NOW + 50)))).who.user == "ann@example.com"  # clocks differ

    play(tmp_path, scene)


# Exchanges.


def test_a_jobs_token_that_is_brought_to_an_exchange_stays_good_for_the_jobs_other_steps(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = signed(claims(**JOB))
        with pytest.raises(Unauthenticated):
            await house.gate.exchanged(Secret(token), ProofKey.create().thumbprint)
        assert "people alone" in house.notes[-1]
        assert (await house.calls(token, ProofKey.create(), "bearer")).who.kind == "job"
        assert (await house.calls(token, None, "bearer")).who.kind == "job"

    play(tmp_path, scene)


@pytest.mark.parametrize("theirs", [of_ann("dba", "dev"), for_ann("dba", "dev")])
def test_an_older_token_counts_for_the_groups_that_are_left(theirs: Identity) -> None:
    memberships = Memberships()
    assert memberships.as_now(theirs) == theirs
    memberships.learn(of_ann("dev", at=NOW + 1))
    now = memberships.as_now(theirs)
    human = now.who.groups if now.who.on_behalf_of is None else now.who.their_groups
    assert human == ("dev",)
    assert now.who.user == theirs.who.user
    assert memberships.as_now(now) == now
    assert memberships.lost(now) == frozenset()


# Logins that an earlier version began without a key.


def test_a_login_that_began_without_a_key_is_bound_to_the_first_that_renews_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "_COST", 2)
    own, thiefs = ProofKey.create(), ProofKey.create()

    async def scene(issuer: Issuer) -> None:
        first = await issuer.log_in()
        without = await issuer.renew(first["refresh_token"])
        assert without.status_code == 200  # an older hoopx goes on as it did
        renewed = (await issuer.renew(without.json()["refresh_token"], own)).json()
        for key in (None, thiefs):
            refused = await issuer.renew(renewed["refresh_token"], key)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        again = await issuer.renew(renewed["refresh_token"], own)
        assert (again.status_code, again.json()["token_type"]) == (200, "DPoP")

    player(tmp_path / "state.db")(scene)

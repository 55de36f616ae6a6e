"""Ways round the checks of who asks that a hostile reading of the whole found: each is played, beside its honest twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity import proofs
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.proofs import Proof, Spent
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import EmbeddedIssuer, LocalAgent
from tests.unit.identity_stage import NOW, claims, signed
from tests.unit.issuer_stage import Issuer, player, users
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

"""A token copied to another process opens nothing: tokens bound by their provider, and by the broker at first use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.identity.bindings import Bindings
from hoopx_broker.identity.identity import Identity, Presented, Scheme
from hoopx_broker.identity.possession import Registers
from hoopx_broker.identity.proofs import Spent
from hoopx_broker.identity.standing import Standing
from hoopx_broker.identity.verify import Gate, trust
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.settings import OidcIssuer
from tests.unit.identity_stage import NOW, claims, human, signed, workload

HERE, PATH = "https://broker.example.com:8443", "/v1/session"
OWN, THIEFS = ProofKey.create(), ProofKey.create()
JOB = {"aud": "https://broker.example.com", "sub": "repo:acme/shop"}


class House:
    """A gate with registers in a real state."""

    def __init__(self, store: Store, standing: Standing, issuers: tuple[OidcIssuer, ...]) -> None:
        self.now = NOW
        self.notes: list[str] = []
        registers = Registers(Bindings(store), standing, Spent(lambda: self.now))
        trusted = [trust(issuer, lambda: self.now) for issuer in issuers or (human(), workload())]
        self.gate = Gate(trusted, lambda: self.now, self.notes.append, registers, lambda origin: origin == HERE)

    async def calls(
        self, token: str, key: ProofKey | None = OWN, scheme: Scheme = "dpop", path: str = PATH, at: str = HERE + PATH
    ) -> Identity:
        proof = key.prove("GET", at, self.now, Secret(token)) if key is not None else None
        return await self.gate.identify(Presented(Secret(token), scheme, proof, "GET", path))

    async def refuses(self, token: str, *args: Any, **kwargs: Any) -> str:
        """Whoever is refused hears one sentence; gives the note for the log, in which the token is not."""
        with pytest.raises(Unauthenticated) as caught:
            await self.calls(token, *args, **kwargs)
        assert caught.value.message == "this token is not accepted"
        assert token not in "".join(self.notes)
        assert all(part not in self.notes[-1] for part in token.split(".") if part)
        return self.notes[-1]


def play(
    directory: Path, scene: Callable[[House], Awaitable[None]], *issuers: OidcIssuer, name: str = "state.db"
) -> None:
    async def act() -> None:
        store = await Store.open(directory / name)
        try:
            await scene(House(store, await Standing.load(store, lambda: NOW), issuers))
        finally:
            await store.close()

    asyncio.run(act())


def bound_token(key: ProofKey = OWN, **changes: Any) -> str:
    return signed(claims(cnf={"jkt": key.thumbprint}, **changes))


def test_a_token_bound_by_its_provider_opens_for_its_key_alone(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = bound_token()
        identity = await house.calls(token)
        assert (identity.who.user, identity.key, identity.is_bound) == ("ann@example.com", OWN.thumbprint, True)
        assert "did not prove" in await house.refuses(token, THIEFS)
        assert "did not prove" in await house.refuses(token, None, "bearer")
        assert "did not prove" in await house.refuses(token, OWN, "bearer")
        assert "without a proof" in await house.refuses(token, None)
        assert (await house.calls(token)).key == OWN.thumbprint

    play(tmp_path, scene)


def test_a_login_that_its_provider_binds_to_nothing_is_bound_at_its_first_use(tmp_path: Path) -> None:
    token = signed(claims())

    async def first(house: House) -> None:
        assert (await house.calls(token)).is_bound
        assert "did not prove" in await house.refuses(token, THIEFS)
        assert "did not prove" in await house.refuses(token, THIEFS, "bearer")
        assert "did not prove" in await house.refuses(token, None, "bearer")
        assert (await house.calls(token)).is_bound

    async def after_a_restart(house: House) -> None:
        assert "did not prove" in await house.refuses(token, THIEFS)
        assert "did not prove" in await house.refuses(token, None, "bearer")
        assert (await house.calls(token)).is_bound

    play(tmp_path, first)
    play(tmp_path, after_a_restart)


def test_of_two_first_uses_at_once_one_wins(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = signed(claims())
        answers = await asyncio.gather(
            *(house.calls(token, ProofKey.create()) for _ in range(8)), return_exceptions=True
        )
        assert sum(isinstance(each, Identity) for each in answers) == 1

    play(tmp_path, scene)


def test_the_next_token_of_a_login_is_bound_by_its_own_first_use(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.calls(signed(claims()))
        assert (await house.calls(signed(claims(jti="renewed")), THIEFS)).key == THIEFS.thumbprint

    play(tmp_path, scene)


def test_a_job_comes_as_a_bearer_and_its_proof_binds_the_session_only(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = signed(claims(**JOB))
        one = await house.calls(token, OWN, "bearer")
        other = await house.calls(token, ProofKey.create(), "bearer")
        assert (one.key, one.is_bound, other.is_bound) == (OWN.thumbprint, False, False)
        assert (await house.calls(token, None, "bearer")).key is None

    play(tmp_path, scene)


def test_an_issuer_may_demand_proofs_of_everybody(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = signed(claims())
        assert "require_proof" in await house.refuses(token, None, "bearer")
        assert "require_proof" in await house.refuses(token, OWN, "bearer")
        assert (await house.calls(token)).is_bound

    play(tmp_path, scene, human(require_proof=True))


def test_a_proof_that_was_heard_on_its_way_is_worth_nothing(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        token = Secret(bound_token())
        proof = OWN.prove("GET", HERE + PATH, NOW, token)
        heard = Presented(token, "dpop", proof, "GET", PATH)
        await house.gate.identify(heard)
        for again in (
            heard,
            Presented(token, "dpop", proof, "POST", PATH),
            Presented(token, "dpop", proof, "GET", "/"),
        ):
            with pytest.raises(Unauthenticated):
                await house.gate.identify(again)

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "at",
    [
        "https://evil.example.com:8443/v1/session",
        "https://broker.example.com:8443/v1/session/v1/session",
        "https://broker.example.com:8443/v1/stream",
        "https://broker.example.com:8443.evil.example.com/v1/session",
        "https://broker.example.com:8443@evil.example.com/v1/session",
        "http://broker.example.com:8443/v1/session",
        "/v1/session",
    ],
)
def test_a_proof_made_for_another_place_is_refused_and_its_maker_told_where_we_are(tmp_path: Path, at: str) -> None:
    async def scene(house: House) -> None:
        assert "its proof is for" in await house.refuses(bound_token(), at=at)

    play(tmp_path, scene)


def test_what_is_refused_spends_nothing_and_binds_nothing(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        for _ in range(3):
            await house.refuses(signed(claims(exp=NOW - 1)), THIEFS)
            await house.refuses(signed(claims(aud="another")), THIEFS)
        token = signed(claims())
        house.now = NOW + 3000
        await house.refuses(token, THIEFS)
        house.now = NOW
        assert (await house.calls(token)).key == OWN.thumbprint

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "cnf",
    [{}, "abc", None.__class__, {"jkt": ""}, {"jkt": 7}, {"x5t#S256": "abc"}, {"jwk": {}}, {"jkt": "a", "jwk": {}}],
)
def test_bindings_that_nobody_can_prove_here_are_not_taken_for_none(tmp_path: Path, cnf: Any) -> None:
    async def scene(house: House) -> None:
        said = claims() | {"cnf": None if cnf is None.__class__ else cnf}
        for key, scheme in ((OWN, "dpop"), (None, "bearer")):
            assert "cannot be proved" in await house.refuses(signed(said), key, scheme)

    play(tmp_path, scene)


# Grants of sessions.


def test_a_grant_is_good_with_its_sessions_key_alone(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        grant = Secret("a-grant")

        def brought(key: ProofKey | None, path: str = "/v1/stream", scheme: Scheme = "dpop") -> Presented:
            proof = key.prove("GET", HERE + path, NOW, grant) if key is not None else None
            return Presented(grant, scheme, proof, "GET", "/v1/stream")

        good = brought(OWN)
        house.gate.check_grant(good, OWN.thumbprint)
        for bad in (good, brought(THIEFS), brought(None), brought(OWN, "/v1/session"), brought(OWN, scheme="bearer")):
            with pytest.raises(Unauthenticated):
                house.gate.check_grant(bad, OWN.thumbprint)
        with pytest.raises(Unauthenticated):
            house.gate.check_grant(brought(OWN), None)

    play(tmp_path, scene)

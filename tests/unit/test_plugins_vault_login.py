"""The broker's logins at Vault: by files that others renew, shared by many ends at once, undone where nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins.vault_connection import Vault
from hoopx_plugins.vault_database import VaultDatabaseIssuer
from hoopx_plugins.vault_failures import VaultUnreachable
from hoopx_plugins.vault_login import OwnLogin
from hoopx_plugins.vault_server import Jwt, Kubernetes
from hoopx_plugins.vault_threads import in_thread
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.peers.vault.peer import DoubleVault
from tests.unit.vault_stage import People, Pins, VaultStage, lease_of, written


@pytest.fixture(scope="module")
def stage(vault: DoubleVault, postgres: Postgres) -> VaultStage:
    return VaultStage(vault, postgres)


@pytest.fixture(scope="module")
def cluster(stage: VaultStage) -> People:
    """Who signs the broker's own tokens; its role may do all that the broker needs."""
    cluster = People(stage)
    stage.vault.write(f"auth/{cluster.mount}/role/people", {"token_policies": [stage.reader, stage.revoker]})
    return cluster


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_a_workloads_token_is_read_anew_for_each_login(
    stage: VaultStage, cluster: People, tmp_path: Path, method: str
) -> None:
    file = written(tmp_path, "token", cluster.token(exp=1_700_000_000, iat=1_699_999_000).reveal())
    shape = Jwt("people", file, cluster.mount) if method == "jwt" else Kubernetes("people", cluster.mount, file)
    server = stage.server(approle=None, **{method: shape})
    order, issuer = stage.database_order(server=server), VaultDatabaseIssuer()
    with pytest.raises(BackendFailed, match="does not hold now"):
        stage.issue(order, issuer)
    written(tmp_path, "token", cluster.token().reveal() + "\n")
    issued = stage.issue(order, issuer)
    stage.revoke(order, issued.handle, issuer)
    stage.nothing_remains()


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_token_is_told(stage: VaultStage, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    server = stage.server(approle=None, token_file=tmp_path / "token")
    with pytest.raises(BackendFailed, match="finds no token in") as failed:
        stage.issue(stage.database_order(server=server))
    assert str(tmp_path / "token") in failed.value.message


def test_many_sessions_that_end_at_once_share_one_login_of_the_brokers(stage: VaultStage) -> None:
    async def scene() -> None:
        issuer = VaultDatabaseIssuer()
        server = stage.server()  # as the section at the top: one for all targets
        orders = [stage.database_order(server=server) for _ in range(4)]
        issued = await asyncio.gather(*(issuer.issue(order, Pins()) for order in orders))
        before = logins(stage)
        ends = (issuer.revoke(lease_of(o, i.handle), o.target) for o, i in zip(orders, issued, strict=True))
        await asyncio.gather(*ends)
        assert logins(stage) == before + 1

    asyncio.run(scene())
    assert stage.made() == set()


def test_a_silent_vault_keeps_no_thread_for_each_that_waits_in_line(stage: VaultStage) -> None:
    """All Vaults share these threads: one that is silent must not use them up, each for the time of all before it."""
    own, server = OwnLogin(), stage.server(timeout="1s")
    with Vault(server, "the broker") as vault, own._locks[server]:
        began = time.monotonic()
        with pytest.raises(VaultUnreachable, match="answers no login of the broker's"):
            own.asking(vault, lambda token: token)
        assert time.monotonic() - began < 5


def logins(stage: VaultStage) -> int:
    path = f"auth/{stage.approle}/login"
    return sum(each["type"] == "response" and each["request"]["path"] == path for each in stage.vault.audit())


def test_what_comes_when_nobody_waits_any_more_is_undone_once() -> None:
    undone: list[str] = []
    begun, release = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        release.wait(10)
        return "made"

    async def given_up() -> None:
        waiting = asyncio.ensure_future(in_thread(slow, undone.append))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()

    asyncio.run(given_up())
    eventually(lambda: undone == ["made"], "it is undone")


def test_what_is_taken_is_not_undone() -> None:
    undone: list[str] = []
    assert asyncio.run(in_thread(lambda: "made", undone.append)) == "made"
    assert undone == []

"""`hoopx audit events`: what people did at a broker stands there afterwards, and nobody but auditors reads it."""

from __future__ import annotations

import socket
import sqlite3
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from hoopx_broker.tunnel.client import SESSION
from tests.journeys import native
from tests.journeys.stage import Stage, playing
from tests.peers import found
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually

TARGET = "shop-prod"


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A broker of which all events are known: nobody else plays here."""
    found.require("psql")
    with playing(Stage(tmp_path_factory.mktemp("events"), postgres)) as played:
        yield played


def events(stage: Stage, *options: str) -> list[dict[str, Any]]:
    return stage.listed("audit", "events", "--limit", "1000", *options, who="olga")


def test_what_people_did_stands_in_order_and_says_who_what_and_when(scene: Stage) -> None:
    assert scene.psql(TARGET, "SELECT 'a-secret-literal'").fine().out == "a-secret-literal\n"
    assert scene.hoopx("exec", TARGET, "--", "true", who="nobody").code == 10
    [session] = scene.listed("sessions", "ls", who="ann")
    sealed = eventually(lambda: events(scene, "--type", "session.sealed"), "the seal is noted")
    assert [each["session"] for each in sealed] == [session["id"]]

    told = [(each["type"], each.get("by", "")) for each in events(scene)]
    assert told[:3] == [("broker.started", ""), ("policy.loaded", ""), ("configuration.loaded", "")]
    inside = [each["type"] for each in events(scene, "--session", session["id"])]
    assert inside == ["lease.issued", "session.opened", "lease.revoked", "session.sealed"]
    [refused] = events(scene, "--type", "session.refused")
    assert (refused["by"], refused["target"], refused["facts"]["ruling"]) == ("nobody", TARGET, "deny")
    [login] = events(scene, "--type", "login.accepted", "--user", "nobody")
    assert login["facts"]["how"] == "session"
    assert "a-secret-literal" not in str(events(scene))
    assert scene.hoopx("audit", "events", who="ann").code == 10


def test_a_flood_of_strangers_fills_neither_the_log_nor_the_state_nor_the_disk(scene: Stage) -> None:
    events(scene)  # the auditor's login is noted
    before, said = rows(scene), len(scene.broker_said())
    flood(scene)
    assert rows(scene) == before
    grown = len(scene.broker_said()) - said
    assert grown < 40_000, scene.broker_said()[-grown:][:4000]
    assert scene.psql(TARGET, "SELECT 1").fine().out == "1\n", "honest people come in meanwhile"


def flood(stage: Stage) -> None:
    """What anybody on the network may send."""
    where = urlsplit(stage.url)
    assert where.hostname is not None
    assert where.port is not None
    tls = ssl.create_default_context(cadata=ssl.get_server_certificate((where.hostname, where.port)))
    tokens = (
        "no-token",
        stage.mint.token("ann", lifetime=-60),
        stage.mint.token("ann", iss="https://" + "x" * 4_000),
        stage.mint.token("ann", aud="y" * 4_000),
    )
    with httpx2.Client(base_url=stage.url, verify=tls, trust_env=False) as web:
        for number in range(60):
            for token in tokens:
                assert web.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"}).status_code == 401
            assert web.post("/v1/logout", data={"logout_token": tokens[number % 4]}).status_code == 400
            secret = {"grant_type": "client_credentials", "client_id": f"n{number}", "client_secret": "z" * 400}
            assert web.post("/oidc/token", data=secret).status_code in (400, 401)
            assert web.get(f"/nothing/{number}").status_code == 404
    for number in range(30):
        for first in (b"\x16\x03\x01 no handshake", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f?"):
            with socket.create_connection((where.hostname, where.port)) as plain:
                plain.sendall(first)
        with (
            socket.create_connection((where.hostname, where.port)) as plain,
            tls.wrap_socket(plain, server_hostname=where.hostname) as talk,
        ):
            talk.sendall(upgrade(tokens[number % 4]))
            assert talk.recv(64)
    for _ in range(5):
        with pytest.raises(psycopg.OperationalError, match="not accepted"):
            psycopg.connect(native.conninfo(stage, TARGET), password="no-token")


def upgrade(token: str) -> bytes:
    """The way of a tunnel."""
    head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    return f"GET {SESSION} HTTP/1.1\r\nHost: x\r\n{head}\r\n{key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def rows(stage: Stage) -> dict[str, int]:
    """How many each table of the state has."""
    with sqlite3.connect(f"file:{stage.home / 'state.db'}?mode=ro", uri=True) as state:
        names = [name for (name,) in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: state.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}

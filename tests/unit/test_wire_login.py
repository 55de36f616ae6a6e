"""The start of a stream: what a client may ask for, and how hoopx logs in upstream."""

from __future__ import annotations

from hashlib import md5

import pytest

from hoopx_broker.terms import entries
from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Cancel, StartTls
from hoopx_broker.wire.postgres.engine import Phase
from hoopx_broker.wire.postgres.frames import message
from hoopx_broker.wire.postgres.messages import SSL_REQUEST
from hoopx_broker.wire.postgres.scram import ServerExchange
from tests.unit.wire_stage import (
    KEY,
    SERVER_KEY,
    Stage,
    allow,
    authentication,
    deny,
    error,
    notice,
    packet,
    query,
    ready,
    startup,
    status,
)

MECHANISMS = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
UPSTREAM = startup(user="minted", database="app")
BINDING = b"hash of the certificate"


def begun(**parameters: str) -> Stage:
    stage = Stage()
    stage.client_says(startup(user="me", **parameters))
    return stage


def begun_over_tls(*, verified: bool = False) -> Stage:
    stage = Stage(tls=True, verified=verified)
    stage.client_says(startup(user="me"))
    return stage


def parameters_sent(stage: Stage) -> dict[str, str]:
    parts = stage.backend_heard[8:].split(b"\0")
    return {parts[i].decode(): parts[i + 1].decode() for i in range(0, len(parts) - 2, 2)}


# The client's hello.


def test_the_user_of_the_client_is_not_the_user_of_the_server() -> None:
    stage = begun(database="app", application_name="psql", client_encoding="UTF8")
    assert parameters_sent(stage) == {
        "user": "minted",
        "database": "app",
        "application_name": "psql",
        "client_encoding": "UTF8",
    }


@pytest.mark.parametrize("database", ["app", "prod", ""])
def test_the_database_may_be_called_as_it_is_or_as_the_target(database: str) -> None:
    assert begun(database=database).backend_heard


def test_another_database_is_refused() -> None:
    stage = begun(database="postgres")
    assert b"3D000" in stage.client_heard
    assert stage.is_closed
    assert stage.backend_heard == b""


@pytest.mark.parametrize("value", ["database", "true", "on", "1", "yes", "f", "nope"])
def test_replication_is_refused(value: str) -> None:
    stage = begun(replication=value)
    assert b"42501" in stage.client_heard
    assert stage.backend_heard == b""


def test_settings_of_the_start_are_judged_as_statements() -> None:
    stage = begun(options="-c search_path=a,b --work_mem=1MB -cx.y=it\\ isn't", TimeZone="UTC")
    (asked,) = stage.asked
    said = (
        """SET "timezone" TO 'UTC'; SET "search_path" TO 'a,b'; SET "work_mem" TO '1MB'; SET "x"."y" TO 'it isn''t'"""
    )
    assert (asked.text, asked.executes) == (said.encode(), True)
    assert stage.backend_heard == b""
    stage.judge_says(allow())
    assert parameters_sent(stage)["search_path"] == "a,b"


def test_denied_settings_end_the_stream_before_the_server_hears_of_it() -> None:
    stage = begun(role="postgres")
    stage.judge_says(deny("no roles", "no-role"))
    assert b"no-role" in stage.client_heard
    assert stage.backend_heard == b""
    assert stage.is_closed
    assert isinstance(stage.noted(entries.Statement)[0], entries.Statement)


@pytest.mark.parametrize(
    "options",
    [
        "-c user=postgres",
        "--user=postgres",
        "-c database=postgres",
        "-c replication=database",
        "-c REPLICATION=database",
        "-c options=-crole=x",
        "-c _pq_.x=1",
        "-d 5",
        "-e",
        "-crole",
        "--=x",
    ],
)
def test_options_cannot_say_who_or_where(options: str) -> None:
    """A start-up packet has these beside the settings, and so must not get them from among the settings."""
    stage = begun(options=options)
    assert stage.is_closed
    assert stage.backend_heard == b""
    assert stage.asked == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"client_encoding": "SJIS"},
        {"Client_Encoding": "sjis"},
        {"options": "-c client_encoding=SJIS"},
        {"options": "-c client-encoding=SJIS"},
        {"client_encoding": "UTF8", "CLIENT_ENCODING": "GBK"},
    ],
)
def test_an_encoding_that_can_hide_ascii_is_refused(parameters: dict[str, str]) -> None:
    stage = begun(**parameters)
    assert b"0A000" in stage.client_heard
    assert stage.backend_heard == b""


def test_a_name_that_no_setting_has_is_a_broken_peer() -> None:
    with pytest.raises(BrokenPeer):
        begun(**{'x" TO 1; DROP TABLE t; --': "1"})


@pytest.mark.parametrize("packed", [packet(131_072, b"x\0"), SSL_REQUEST, packet(80_877_104), packet(262_144)])
def test_other_protocols_and_requests_inside_are_refused(packed: bytes) -> None:
    stage = Stage()
    stage.client_says(packed)
    assert b"0A000" in stage.client_heard
    assert stage.is_closed


def test_a_cancel_request_is_handed_on_with_its_key() -> None:
    stage = Stage()
    stage.client_says(packet(80_877_102, KEY))
    assert stage.others[0] == Cancel(KEY)
    assert stage.is_closed
    assert stage.client_heard == stage.backend_heard == b""


@pytest.mark.parametrize(
    "said",
    [
        b"\0\0\0\7" + b"x" * 20,
        b"\0\0\0\0" + b"x" * 20,
        b"\xff\xff\xff\xff" + b"x" * 20,
        b"\0\0\x27\x11" + b"x" * 20,
        packet(196_608, b"user\0me\0"),
        packet(196_608, b"user\0me\0\0more"),
        packet(196_608, b"user\0me"),
        packet(196_608, b"user\0me\0user\0you\0\0"),
        packet(196_608, b"user\0\xff\xfe\0\0"),
        packet(196_608),
    ],
)
def test_a_malformed_hello_is_a_broken_peer(said: bytes) -> None:
    with pytest.raises(BrokenPeer):
        Stage().client_says(said)


def test_a_second_hello_during_the_login_is_a_broken_peer() -> None:
    """CVE-2026-107350 of PgBouncer."""
    stage = begun()
    stage.backend_says(authentication(10, MECHANISMS))
    with pytest.raises(BrokenPeer):
        stage.client_says(startup(user="you"))


def test_a_statement_during_the_login_is_a_broken_peer() -> None:
    stage = begun()
    with pytest.raises(BrokenPeer):
        stage.client_says(query("drop table t"))


# The login upstream.


def test_a_login_without_a_password_leads_to_statements() -> None:
    stage = begun()
    assert stage.backend_heard == UPSTREAM
    settings = status("server_version", "17.0") + status("client_encoding", "UTF8")
    stage.backend_says(authentication(0), settings, notice("hi"), message(ord("K"), SERVER_KEY), ready())
    told = settings + notice("hi") + message(ord("K"), KEY) + ready()
    assert stage.client_heard == authentication(0) + told
    assert stage.engine.server_key == SERVER_KEY
    assert stage.engine.phase is Phase.READY


def scram(stage: Stage, password: str = "s3cret", offered: bytes = MECHANISMS) -> bytes:
    """Play the server's part; gives the mechanism that was chosen."""
    stage.backend_says(authentication(10, offered))
    mechanism, _, rest = stage.backend_heard[5:].partition(b"\0")
    first = rest[4:]
    server = ServerExchange(Secret(password), b"s" * 18, b"salt")
    stage.backend_says(authentication(11, server.first(first)))
    final = stage.backend_heard[5:]
    stage.backend_says(authentication(12, server.final(final)), authentication(0))
    return mechanism


def test_scram_proves_the_password_without_sending_it() -> None:
    stage = begun()
    stage.forget()
    assert scram(stage) == b"SCRAM-SHA-256"
    assert stage.client_heard == authentication(0)


def test_scram_binds_to_the_channel_where_there_is_one() -> None:
    stage = begun_over_tls()
    assert stage.backend_heard == SSL_REQUEST
    stage.backend_says(b"S")
    assert stage.others == [StartTls()]
    stage.perform(stage.engine.on_tls(BINDING))
    assert stage.backend_heard == UPSTREAM
    stage.backend_says(authentication(10, MECHANISMS))
    mechanism, _, rest = stage.backend_heard[5:].partition(b"\0")
    assert mechanism == b"SCRAM-SHA-256-PLUS"
    assert rest[4:].startswith(b"p=tls-server-end-point,,n=,r=")


def test_scram_says_that_it_could_have_bound_if_the_offer_was_stripped() -> None:
    stage = begun_over_tls()
    stage.backend_says(b"S")
    stage.perform(stage.engine.on_tls(BINDING))
    stage.forget()
    stage.backend_says(authentication(10, b"SCRAM-SHA-256\0\0"))
    mechanism, _, rest = stage.backend_heard[5:].partition(b"\0")
    assert mechanism == b"SCRAM-SHA-256"
    assert rest[4:].startswith(b"y,,n=,r=")


def test_a_server_that_skips_its_own_proof_is_not_trusted() -> None:
    stage = begun()
    stage.backend_says(authentication(10, MECHANISMS))
    with pytest.raises(BrokenPeer):
        stage.backend_says(authentication(0))


@pytest.mark.parametrize("code", [3, 5, 10, 11, 12, 0])
def test_scram_is_not_traded_for_something_weaker_midway(code: int) -> None:
    stage = begun()
    stage.backend_says(authentication(10, MECHANISMS))
    with pytest.raises(BrokenPeer):
        stage.backend_says(authentication(code, b"salt"))
    assert b"s3cret" not in stage.backend_heard


def test_md5_is_answered() -> None:
    stage = begun()
    stage.forget()
    stage.backend_says(authentication(5, b"salt"))
    inner = md5(b"s3cretminted").hexdigest().encode()
    proof = b"md5" + md5(inner + b"salt").hexdigest().encode()
    assert stage.backend_heard == message(ord("p"), proof + b"\0")


def test_a_clear_password_goes_only_to_a_server_that_was_verified() -> None:
    unverified = begun_over_tls()
    unverified.backend_says(b"S")
    unverified.perform(unverified.engine.on_tls(None))
    for stage in (begun(), unverified):
        stage.forget()
        stage.backend_says(authentication(3))
        assert b"s3cret" not in stage.backend_heard
        assert b"clear password" in stage.client_heard
        assert stage.is_closed

    stage = begun_over_tls(verified=True)
    stage.backend_says(b"S")
    stage.perform(stage.engine.on_tls(None))
    stage.forget()
    stage.backend_says(authentication(3))
    assert stage.backend_heard == message(ord("p"), b"s3cret\0")


@pytest.mark.parametrize("code", [1, 2, 6, 7, 8, 9, 13, 4_294_967_295])
def test_other_kinds_of_authentication_are_named_as_the_problem(code: int) -> None:
    stage = begun()
    stage.backend_says(authentication(code))
    assert b"08006" in stage.client_heard
    assert stage.is_closed


def test_a_server_without_tls_hears_nothing_more() -> None:
    stage = begun_over_tls()
    stage.forget()
    stage.backend_says(b"N")
    assert stage.backend_heard == b""
    assert b"does not offer TLS" in stage.client_heard
    assert stage.is_closed


def test_clear_bytes_behind_the_answer_to_the_request_for_tls_are_an_attack() -> None:
    """CVE-2021-23222: they would be read as if they had come through TLS."""
    with pytest.raises(BrokenPeer):
        begun_over_tls().backend_says(b"S" + authentication(0))


@pytest.mark.parametrize("answer", [b"E", b"X", b"\0"])
def test_any_other_answer_to_the_request_for_tls_is_a_no(answer: bytes) -> None:
    stage = begun_over_tls()
    stage.backend_says(answer)
    assert stage.is_closed


def test_tls_that_starts_after_the_end_starts_nothing() -> None:
    stage = begun_over_tls()
    stage.backend_says(b"S")
    stage.perform(stage.engine.end("over"))
    stage.forget()
    stage.perform(stage.engine.on_tls(BINDING))
    assert stage.backend_heard == b""


def test_a_refused_login_is_told_without_the_password() -> None:
    stage = begun()
    stage.backend_says(error('password authentication failed for user "minted"', "28P01", "FATAL"))
    heard = stage.client_heard
    assert b"28P01" in heard
    assert b"s3cret" not in heard
    assert "s3cret" not in repr(stage.notes)


def test_an_error_after_the_login_ends_the_stream() -> None:
    stage = begun()
    stage.backend_says(authentication(0), error("too many connections", "53300", "FATAL"))
    assert b"53300" in stage.client_heard
    assert stage.is_closed


@pytest.mark.parametrize("said", [query("x"), b"D\0\0\0\6\0\0", b"C\0\0\0\5\0", b"S\0\0\0\x05\0"])
def test_a_server_out_of_turn_during_the_login_is_a_broken_peer(said: bytes) -> None:
    with pytest.raises(BrokenPeer):
        begun().backend_says(said)


def test_a_server_that_speaks_first_is_a_broken_peer() -> None:
    with pytest.raises(BrokenPeer):
        Stage().backend_says(authentication(0))

"""Attacks on the way of a credential through the broker, found in a review: each was one that worked."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from botocore.configloader import load_config
from botocore.exceptions import ClientError

from hoopx_broker.credentials import ledger
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.daemon import config, log
from hoopx_broker.daemon.run import _as_it_is_now
from hoopx_broker.session.live import LiveSession
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.errors import BackendFailed, BadInput, HoopxError
from hoopx_broker.terms.ids import LeaseId
from hoopx_broker.terms.leases import Credential, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_cli.aws_config import config_of
from hoopx_plugins import aws_calls
from hoopx_plugins.aws_account import AwsAccount
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.vault_secrets import read_secret
from tests.unit.leases_stage import SourceDouble, order, stage, target
from tests.unit.test_session_keys import Scene, play
from tests.unit.test_session_tenure import START, TTL, RenewingDouble, begin

A = LeaseId("l_1")
SECRET = "correct-horse-battery-staple"


def test_a_login_that_could_not_be_written_down_goes_while_the_disk_is_still_full(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:

            async def disk_is_full(_: Order) -> None:
                await s.store.close()

            s.source.after_issue = disk_is_full
            with pytest.raises(HoopxError, match="closed"):
                await s.keeper.lease(order())
            assert s.source.logins == {"hoopx_s_1"}
            assert await s.keeper.end(A) is False
            assert s.source.logins == set()

    asyncio.run(scene())


def test_what_a_source_trips_over_is_told_without_its_words(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:

            async def trip(_: Order) -> None:
                raise ValueError(f"cannot encode {SECRET}")

            s.source.after_issue = trip
            with pytest.raises(BackendFailed, match="`double` of `prod-db` failed: unexpected ValueError") as failed:
                await s.keeper.lease(order())
            assert SECRET not in str(failed.value)
            assert failed.value.__cause__ is None
            # Nobody knows what it had made by then.
            assert await s.keeper.end(A) is False
            assert s.source.logins == set()

    asyncio.run(scene())


def test_what_trips_over_a_fresh_login_is_not_told_to_its_client(tmp_path: Path) -> None:
    class Tripping(SourceDouble):
        async def fresh(self, credential: Credential, target: Target) -> Credential:
            raise ValueError(f"cannot encode {SECRET}")

    async def scene() -> None:
        async with stage(tmp_path, source=Tripping()) as s:
            await s.keeper.lease(order())
            with pytest.raises(BackendFailed, match="`double` of `prod-db` failed: unexpected ValueError"):
                await s.keeper.fresh(A)

    asyncio.run(scene())


def test_a_broker_that_stood_by_goes_by_the_configuration_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords are changed while it waits, and with the old ones it could revoke nothing."""
    before, now = (SimpleNamespace(state=tmp_path / "state.db", which=which) for which in ("before", "now"))
    elsewhere = SimpleNamespace(state=tmp_path / "other.db")
    monkeypatch.setattr(config, "load", lambda *_: now)
    assert asyncio.run(_as_it_is_now(cast(Any, before), tmp_path)) is cast(Any, now)
    monkeypatch.setattr(config, "load", lambda *_: elsewhere)
    with pytest.raises(BadInput, match="`state` was changed"):
        asyncio.run(_as_it_is_now(cast(Any, before), tmp_path))


@pytest.mark.parametrize("step", [ledger.count_troubled, ledger.take_over])
def test_leases_that_are_over_cost_nobody_anything(tmp_path: Path, step: Callable[[Any], object]) -> None:
    """There may be millions, and who asks for the health of a broker shows no token."""

    def plans(connection: Connection) -> list[str]:
        assert isinstance(connection, sqlite3.Connection)
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        step(connection)
        connection.set_trace_callback(None)
        return [row[3] for text in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]

    async def scene() -> None:
        async with stage(tmp_path) as s:
            told = await s.store.run(plans)
            assert told
            assert not [each for each in told if each.startswith("SCAN") and "leases_unended" not in each]

    asyncio.run(scene())


def test_a_program_that_hangs_over_credentials_holds_one_thread_of_aws_and_not_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aws_calls, "PATIENCE", 0.05)
    with aws_calls._making, pytest.raises(BackendFailed, match="still being fetched") as failed:
        aws_calls.client(AwsAccount("eu-central-1"), "sts")
    assert "credential_process" in failed.value.hint


def test_a_person_whose_token_has_expired_does_not_throw_away_the_brokers_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everybody with an old token could make everybody else's sessions wait for new clients."""
    forgotten: list[str] = []
    monkeypatch.setattr(aws_calls, "_forget", lambda: forgotten.append("all"))
    monkeypatch.setattr(aws_calls, "client", lambda *_: None)

    def expired(_: Any) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": ""}}, "AssumeRole")

    meanings = {"ExpiredToken": ("the person's token has expired", "log in again")}
    for told, lost in ((meanings, []), ({}, ["all"])):
        caller = Caller("aws-web-identity", target("prod-aws"), AwsAccount("eu-central-1"), told)
        with pytest.raises(BackendFailed, match="expired"):
            asyncio.run(caller.ask("sts", expired))
        assert forgotten == lost


def test_a_vault_that_says_nonsense_of_its_engines_is_no_fault_of_ours() -> None:
    class Nonsense:
        who = "the broker"

        def ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
            mount = {"path": "secret/", "options": "2"}
            return {"data": mount if path.startswith("sys/") else {"password": SECRET}}

    read = read_secret(cast(Any, Nonsense()), Secret("token"), "secret/app/db")
    assert [(name, value.reveal()) for name, value in read.items()] == [("password", SECRET)]


def test_an_end_does_not_wait_for_a_renewal_that_has_not_begun_at_its_source(tmp_path: Path) -> None:
    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            await s.keeper.lease(order())
            renewing = asyncio.create_task(s.keeper.renew(order()))
            await asyncio.sleep(0)  # it has asked the state, and waits for the answer
            assert await s.keeper.end(A)
            with pytest.raises(BackendFailed, match="about to end"):
                await renewing
            assert source.renewed == []

    asyncio.run(scene())


def test_a_second_by_rounding_is_no_more_time(tmp_path: Path) -> None:
    """A source at its limit gives what is left, in whole seconds: now a little more than before, now a little less."""

    async def scene() -> None:
        source = RenewingDouble()
        async with stage(tmp_path, source=source) as s:
            it = await begin(s)
            source.longest = START + TTL + 0.9
            await it.tenure.run()
            assert it.told[:2] == ["renewed", "not-renewed"]
            assert "gives it no more time" in it.warnings[0]
            assert len(source.renewed) < 20

    asyncio.run(scene())


def test_a_session_whose_renewal_breaks_inside_the_broker_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody would be left to end it with its lease."""

    async def broken(self: Keeper, order: Order) -> Any:
        raise LookupError("the row is gone")

    async def scene() -> None:
        async with stage(tmp_path, source=RenewingDouble()) as s:
            it = await begin(s)
            monkeypatch.setattr(Keeper, "renew", broken)
            with pytest.raises(LookupError):
                await it.tenure.run()
            assert [why for _, why in it.ended] == ["hoopx failed to renew its credential"]

    asyncio.run(scene())


def test_a_session_that_cannot_be_cut_still_gives_its_lease_back() -> None:
    finished: list[str] = []

    async def act(scene: Scene) -> None:
        def fail(reason: str) -> None:
            raise RuntimeError(reason)

        async def finish(session: LiveSession, reason: str) -> Conclusion:
            finished.append(reason)
            return Conclusion(is_revoked=True)

        scene.session.cut = fail  # type: ignore[method-assign]
        scene.session._finish = finish
        with pytest.raises(RuntimeError):
            await scene.session.end("the client left")
        assert scene.session.over.is_set()

    play(act)
    assert finished == ["the client left"]


@pytest.mark.parametrize(
    ("target", "region"),
    [("prod-aws", "eu-central-1\ncredential_process = sh -c id"), ("a]\n[default]\ncredential_process = id", "eu")],
)
def test_a_broker_writes_no_lines_of_its_own_into_a_childs_configuration(target: str, region: str) -> None:
    with pytest.raises(BackendFailed, match="name that is none"):
        config_of("", {target: region}, ["hoopx", "credentials"])


def test_own_keys_that_are_indented_are_no_childs_way_to_aws_either(tmp_path: Path) -> None:
    """AWS's tools take the first indented line of a section for a setting, and would go by it before the session."""
    own = """
[default]
    region = eu-central-1
    aws_access_key_id = AKIAOWN
    aws_secret_access_key = own
    s3 =
        max_concurrent_requests = 20

  [profile other]
  # a note
  credential_process = hand-out-keys
  output = json
"""
    (tmp_path / "config").write_text(config_of(own, {"prod-aws": "eu-west-1"}, ["hoopx", "credentials"]))
    profiles = load_config(str(tmp_path / "config"))["profiles"]
    assert profiles == {
        "default": {"region": "eu-central-1", "s3": {"max_concurrent_requests": "20"}},
        "other": {"output": "json"},
        "prod-aws": {"region": "eu-west-1", "credential_process": "hoopx credentials prod-aws"},
    }


def test_the_log_of_a_broker_on_a_terminal_shows_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the variables of a failed task is whatever was being worked on."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    try:
        _log_a_failure()
    finally:
        structlog.reset_defaults()
    shown = terminal.getvalue()
    assert all(each in shown for each in ("task.failed", "LookupError", "_log_a_failure"))
    assert SECRET not in shown


def _log_a_failure() -> None:
    password = SECRET.upper().lower()
    log.start_logging()
    try:
        raise LookupError(len(password))
    except LookupError as error:
        structlog.get_logger().error("task.failed", exc_info=error)

"""People who are not let in any more: what they have open ends within seconds, however the broker learns of it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.journeys import native
from tests.journeys.stage import CAST, Running, Stage, playing, running
from tests.journeys.tokens import AUDIENCE, ISSUER, TokenMint
from tests.peers import clients
from tests.peers.postgres import Postgres

TARGET = "shop-prod"
CLIENT = "hoopx-cli"


class PeopleStage(Stage):
    """The issuer's tokens are those of people here, as a provider gives them to `hoopx login`."""

    def configuration(self) -> str:
        return super().configuration().replace("    kind: workload\n", f"    kind: human\n    client_id: {CLIENT}\n")


@pytest.fixture(scope="module")
def office(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with playing(PeopleStage(tmp_path_factory.mktemp("office"), postgres)) as played:
        yield played


@contextmanager
def at_work(stage: Stage, who: str = "ann", target: str = TARGET, **more: str) -> Iterator[Running]:
    """Somebody with an open session in which a client sits at its prompt."""
    command = [*clients.psql("SELECT 1"), "-c", "\\! sleep 60"]
    with running(stage, "exec", target, "--", *command, who=who, **more) as work:
        work.says(r"1\n")
        yield work


def ends(work: Running, why: str) -> None:
    began = time.monotonic()
    outcome = work.end()
    assert outcome.code != 0
    assert why in outcome.err
    assert time.monotonic() - began < 15  # a child may take five seconds to end


def says(stage: Stage, logout_token: str) -> httpx2.Response:
    """What an identity provider sends when somebody logs out there."""
    said = {"logout_token": logout_token}
    return httpx2.post(f"{stage.url}/v1/logout", data=said, verify=tls_of(stage), trust_env=False)


def tls_of(stage: Stage) -> ssl.SSLContext:
    where = urlsplit(stage.url)
    assert where.hostname is not None
    assert where.port is not None
    return ssl.create_default_context(cadata=ssl.get_server_certificate((where.hostname, where.port)))


def logout(mint: TokenMint, **more: object) -> str:
    now = int(time.time())
    event: dict[str, object] = {"http://schemas.openid.net/event/backchannel-logout": {}}
    said = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 60, "jti": str(time.monotonic_ns()), "events": event}
    return mint.sign(said | more, "logout+jwt")


def test_a_revoked_user_is_cut_off_and_stays_out_until_restored(office: Stage) -> None:
    stolen = office.mint.token("ann", CAST["ann"])
    with at_work(office) as work, at_work(office, "bob") as others:
        revoked = office.hoopx("admin", "revoke", "ann", "--reason", "laptop stolen", who="sam").fine()
        assert "`ann` is revoked, 1 session ends" in revoked.err
        ends(work, "this access was revoked")
        refused = office.hoopx("whoami")
        assert (refused.code, "this token is not accepted" in refused.err) == (11, True)
        assert office.exec(TARGET, ["true"]).code == 11
        assert native.psql(office, TARGET, "SELECT 1").code == 2
        assert others.process.poll() is None
    [row] = office.listed("admin", "revoked", who="sam")
    assert (row["user"], row["by"], row["reason"]) == ("ann", "sam", "laptop stolen")
    office.hoopx("admin", "restore", "ann", who="sam").fine()
    assert office.exec(TARGET, ["true"]).code == 0
    assert office.hoopx("whoami", HOOPX_TOKEN=stolen).code == 11  # what was stolen does not come back with its owner
    assert office.hoopx("admin", "restore", "ann", who="sam").code == 2
    assert "revoked by `sam`" in office.broker_said()


def test_a_revocation_outlives_the_broker(own_stage: Stage) -> None:
    own_stage.hoopx("admin", "revoke", "ann", who="sam").fine()
    own_stage.kill_broker()
    own_stage.start_broker()
    assert own_stage.hoopx("whoami").code == 11
    own_stage.hoopx("admin", "restore", "ann", who="sam").fine()
    assert own_stage.hoopx("whoami").code == 0


def test_everybody_may_shut_themselves_out_and_nobody_else_but_security(office: Stage) -> None:
    for who in ("bob", "dora", "olga", "nobody"):
        refused = office.hoopx("admin", "revoke", "ann", who=who)
        assert refused.code == 10, who
    assert office.listed("admin", "revoked", who="bob") == []
    with at_work(office, "bob") as work:
        office.hoopx("admin", "revoke", "bob", who="bob").fine()
        ends(work, "this access was revoked")
    assert office.hoopx("admin", "restore", "bob", who="bob").code == 11
    office.hoopx("admin", "restore", "bob", who="sam").fine()


def test_a_native_client_is_cut_off_too(office: Stage) -> None:
    command = [*clients.psql("SELECT 1"), "-c", "SELECT pg_sleep(60)"]
    with native.running(office, TARGET, command) as client:
        client.says(r"1\n")
        office.hoopx("admin", "revoke", "ann", who="sam").fine()
        outcome = client.end()
    office.hoopx("admin", "restore", "ann", who="sam").fine()
    assert outcome.code != 0
    assert "this access was revoked" in outcome.err


def test_whoever_is_revoked_while_people_are_asked_gets_nothing(office: Stage) -> None:
    with running(office, "connect", "payments-prod", who="ann") as asking:
        request = asking.says(r"request (r_\w+)").group(1)
        office.hoopx("admin", "revoke", "ann", who="sam").fine()
        office.hoopx("approve", request, who="dora")
        outcome = asking.end()
    office.hoopx("admin", "restore", "ann", who="sam").fine()
    assert outcome.code == 10
    assert "revoked" in outcome.err
    office.nothing_remains()


# What a newer token said is remembered: each of these scenes has its own person.


def of_gwen(office: Stage, *groups: str, age: float = 60, user: str = "gwen") -> str:
    return office.mint.token(user, groups, iat=int(time.time() - age))


def test_a_group_that_a_newer_token_lacks_ends_what_was_opened_with_it(office: Stage) -> None:
    before = of_gwen(office, "developers", "book-club")
    with at_work(office, HOOPX_TOKEN=before) as work:
        office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, "book-club", "developers", age=1)).fine()
        assert work.process.poll() is None
        office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, "book-club", age=0)).fine()
        ends(work, "`gwen` is not in `developers` any more")


def test_an_older_token_does_not_bring_a_lost_group_back(office: Stage) -> None:
    old = of_gwen(office, "developers", user="hugo")
    office.hoopx("exec", TARGET, "--", "true", HOOPX_TOKEN=old).fine()
    office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, age=30, user="hugo")).fine()
    again = office.hoopx("exec", TARGET, "--", "true", HOOPX_TOKEN=old)
    assert again.code == 10
    assert "developers" not in office.hoopx("whoami", HOOPX_TOKEN=old).fine().out  # nobody is out
    given_back = of_gwen(office, "developers", age=0, user="hugo")
    office.hoopx("exec", TARGET, "--", "true", HOOPX_TOKEN=given_back).fine()


def test_a_group_that_is_lost_while_people_are_asked_opens_nothing(office: Stage) -> None:
    asks = of_gwen(office, "developers", user="ines")
    with running(office, "connect", "payments-prod", who="ann", HOOPX_TOKEN=asks) as asking:
        request = asking.says(r"request (r_\w+)").group(1)
        office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, age=0, user="ines")).fine()
        office.hoopx("approve", request, who="dora").fine()
        outcome = asking.end()
    assert outcome.code == 10
    assert "`ines` is not in `developers` any more" in outcome.err
    office.nothing_remains()


def test_a_pass_does_not_outlast_a_group(office: Stage) -> None:
    token = of_gwen(office, "developers", user="jana")
    passes = [office.hoopx("token", TARGET, HOOPX_TOKEN=token).fine().out.strip() for _ in range(2)]
    assert native.psql(office, TARGET, "SELECT 1", who="jana", token=passes[0]).fine().out == "1\n"
    office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, age=0, user="jana")).fine()
    refused = native.psql(office, TARGET, "SELECT 1", who="jana", token=passes[1])
    assert (refused.code, "`jana` is not in `developers` any more" in refused.err) == (2, True)


def test_a_lost_group_neither_approves_nor_looks_after_people_by_an_older_token(office: Stage) -> None:
    [request] = office.listed("request", "payments-prod", "--reason", "whoever may agree")
    old = of_gwen(office, "dba", "security", user="mona")
    assert office.hoopx("admin", "restore", "nobody-knows", HOOPX_TOKEN=old).code == 2  # may, but there is none
    office.hoopx("whoami", HOOPX_TOKEN=of_gwen(office, "developers", age=30, user="mona")).fine()
    assert office.hoopx("approve", request["id"], HOOPX_TOKEN=old).code == 10
    assert office.hoopx("admin", "revoke", "nobody-knows", HOOPX_TOKEN=old).code == 10
    office.hoopx("approve", request["id"], HOOPX_TOKEN=of_gwen(office, "dba", age=0, user="mona")).fine()
    office.hoopx("requests", "cancel", request["id"]).fine()


@pytest.mark.parametrize("is_revoked", [True, False])
def test_a_vote_that_takes_its_time_does_not_outrun_a_revocation(office: Stage, is_revoked: bool) -> None:
    [request] = office.listed("request", "payments-prod", "--reason", f"a slow vote {is_revoked}")
    token = office.mint.token("lars", ("dba",))

    def slowly() -> Iterator[bytes]:
        yield b'{"comment":'
        if is_revoked:
            time.sleep(1)  # the head is there, and its token believed
            office.hoopx("admin", "revoke", "lars", who="sam").fine()
        yield b'"looks good"}'

    where = f"{office.url}/v1/requests/{request['id']}/approve"
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx2.post(where, content=slowly(), headers=headers, verify=tls_of(office), trust_env=False)
    [seen] = [each for each in office.listed("requests", "ls") if each["id"] == request["id"]]
    office.hoopx("requests", "cancel", request["id"]).fine()
    if is_revoked:
        office.hoopx("admin", "restore", "lars", who="sam").fine()
    assert (answer.status_code, seen["state"]) == ((401, "waiting") if is_revoked else (200, "approved"))


def test_a_name_of_a_job_is_revoked_whatever_signs_it_has(office: Stage) -> None:
    for name in ("repo:acme/shop:ref:refs/heads/main", "spiffe://example.org/shop", "50% off?#&;", "ä b/../x", "/"):
        token = office.mint.token(name, ("developers",))
        office.hoopx("whoami", HOOPX_TOKEN=token).fine()
        office.hoopx("admin", "revoke", name, who="sam").fine()
        assert office.hoopx("whoami", HOOPX_TOKEN=token).code == 11, name
        office.hoopx("admin", "restore", name, who="sam").fine()
        office.hoopx("whoami", HOOPX_TOKEN=office.mint.token(name, ("developers",))).fine()


def test_an_older_token_somebody_elses_or_another_programs_takes_nothing_away(office: Stage) -> None:
    now = int(time.time())
    with at_work(office, "dora") as work:
        for token in (
            office.mint.token("dora", (), iat=now - 3000),
            office.mint.token("kurt", (), iat=now),
            office.mint.token("dora", (), iat=now, azp="another-program"),
        ):
            office.hoopx("whoami", HOOPX_TOKEN=token).fine()
        assert work.process.poll() is None


def test_a_logout_at_the_provider_ends_the_sessions_of_that_login(office: Stage) -> None:
    logged_out = office.mint.token("dave", CAST["dave"], sid="at-home")
    other = office.mint.token("dave", CAST["dave"], sid="at-work")
    with (
        at_work(office, "dave", HOOPX_TOKEN=logged_out) as ended,
        at_work(office, "dave", HOOPX_TOKEN=other) as goes_on,
    ):
        answer = says(office, logout(office.mint, sub="dave", sid="at-home"))
        assert (answer.status_code, answer.content) == (200, b"")
        ends(ended, "this login was ended by its identity provider")
        assert goes_on.process.poll() is None
        assert office.hoopx("whoami", who="dave", HOOPX_TOKEN=logged_out).code == 11
        office.hoopx("whoami", who="dave", HOOPX_TOKEN=other).fine()


def test_a_logout_of_everything_ends_everything_of_that_person(office: Stage) -> None:
    token = office.mint.token("bob", CAST["bob"], sid="somewhere")
    with at_work(office, "bob", HOOPX_TOKEN=token) as work, at_work(office) as others:
        assert says(office, logout(office.mint, sub="bob")).status_code == 200
        ends(work, "this login was ended by its identity provider")
        assert others.process.poll() is None


def test_a_made_up_logout_ends_nothing_and_is_told_nothing(office: Stage) -> None:
    with at_work(office) as work:
        forged = logout(TokenMint(), sub="ann")
        for token in (forged, logout(office.mint, sub="ann", aud=AUDIENCE), "", "x.y.z", office.mint.token("ann")):
            answer = says(office, token)
            assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
        assert work.process.poll() is None


def test_native_clients_of_two_logins_share_no_session_that_the_end_of_one_would_end(office: Stage) -> None:
    at_home, at_work_ = (office.mint.token("nils", ("developers",), sid=sid) for sid in ("home-1", "work-1"))
    command = [*clients.psql("SELECT 1"), "-c", "SELECT pg_sleep(60)"]
    with (
        native.running(office, TARGET, command, who="nils", token=at_home) as ended,
        native.running(office, TARGET, command, who="nils", token=at_work_) as goes_on,
    ):
        ended.says(r"1\n")
        goes_on.says(r"1\n")
        assert says(office, logout(office.mint, sub="nils", sid="home-1")).status_code == 200
        outcome = ended.end()
        assert "this login was ended by its identity provider" in outcome.err
        assert goes_on.process.poll() is None
    native.end_lingering(office)

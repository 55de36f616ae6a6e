"""With somebody's approval a person sees a class of masked data raw for a while: recorded, and no longer."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.journeys.stage import CLASSIFY, Stage, playing, running
from tests.peers import clients, found
from tests.peers.clients import Outcome
from tests.peers.postgres import Postgres
from tests.peers.processes import eventually
from tests.unit.docs_examples import examples

RAW_EMAIL, RAW_SSN = "person1@example.com", "000-12-0001"
READ = "SELECT email, ssn FROM customers WHERE id = 1"
# Beside the usual cast: who may agree, and who is never let to see.
GROUPS = {"pia": ("privacy",), "per": ("privacy", "developers"), "bot": ("developers", "agents"), "sam": ("support",)}


class UnmaskStage(Stage):
    """Two targets on which classes may be asked for, and one on which they may not."""

    def _targets(self) -> Iterator[str]:
        reader = self._minting(roles="[app_read]", read_only="true")
        writer = self._minting(roles="[app_read, app_write]", read_only="false")
        yield self._target("shop-prod", "{env: prod, unmask: approval}", reader) + CLASSIFY
        yield self._target("shop-dev", "{env: dev, unmask: approval}", writer) + CLASSIFY
        yield self._target("shop-closed", "{env: prod}", reader) + CLASSIFY

    def as_(self, who: str, *arguments: str) -> Outcome:
        return self.hoopx(*arguments, who=who, HOOPX_TOKEN=self.mint.token(who, GROUPS[who]))

    def ask(self, *arguments: str, target: str = "shop-prod", unmask: str = "email") -> str:
        """Ann asks; gives the request's id."""
        asked = self.hoopx("request", target, "--unmask", unmask, "--reason", f"case {time.time()}", *arguments).fine()
        return asked.out.strip()

    def agree(self, request: str) -> None:
        self.as_("pia", "approve", request, "--yes").fine()

    def unmasked(self, *arguments: str, target: str = "shop-prod", unmask: str = "email") -> str:
        request = self.ask(*arguments, target=target, unmask=unmask)
        self.agree(request)
        return request

    def told(self, session: str) -> str:
        return self.hoopx("sessions", "replay", session).fine().out


class Psql:
    """One psql that stays, asked one thing after the other."""

    def __init__(self, process: subprocess.Popen[str], session: str) -> None:
        self._process = process
        self.session = session
        self._asked = 0

    def asks(self, sql: str) -> str:
        """What it prints until it is done with `sql`, errors and notices too."""
        self._asked += 1
        end = f"done-{self._asked}\n"
        self._write(f"{sql};\n\\echo {end}")
        lines: list[str] = []
        while (line := self._out.readline()) and line != end:
            lines.append(line)
        return "".join(lines)

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout


@contextmanager
def psql(stage: Stage, target: str = "shop-prod", who: str = "ann") -> Iterator[Psql]:
    with running(stage, "connect", target, who=who) as connected:
        session = connected.says(r"session (s_\w+) with").group(1)
        url = connected.says(r"postgres(?:ql)?://\S+").group(0)
        process = subprocess.Popen(
            [*clients.psql(options=("-At", "-v", "VERBOSITY=default")), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clients.plain_environment(),
        )
        try:
            yield Psql(process, session)
        finally:
            process.kill()
            process.communicate()
            connected.end(signal.SIGINT)


@pytest.fixture(scope="module")
def shop(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnmaskStage]:
    found.require("psql")
    stage = UnmaskStage(tmp_path_factory.mktemp("unmask"), postgres)
    with playing(stage):
        yield stage


def is_masked(answer: str) -> bool:
    return RAW_EMAIL not in answer and RAW_SSN not in answer


def cancel(stage: UnmaskStage, request: str) -> None:
    stage.hoopx("requests", "cancel", request).fine()


def test_a_running_psql_sees_the_class_raw_once_somebody_agreed_and_until_it_is_cancelled(shop: UnmaskStage) -> None:
    with psql(shop) as ann:
        assert is_masked(ann.asks(READ))
        request = shop.ask("--for", "10m")
        assert is_masked(ann.asks(READ))
        shop.agree(request)
        seen = ann.asks(READ)
        assert RAW_EMAIL in seen
        assert RAW_SSN not in seen, "another class than the one that was asked for"
        assert f"NOTICE:  request `{request}` shows email raw until" in seen
        cancel(shop, request)
        seen = ann.asks(READ)
        assert is_masked(seen)
        assert f"NOTICE:  request `{request}` shows email no longer: it was taken back" in seen


def test_it_is_over_when_its_time_is(shop: UnmaskStage) -> None:
    with psql(shop) as ann:
        request = shop.unmasked(
            "--for", "12s", unmask="email,national-id"
        )  # two commands take seconds on a busy machine
        over = shop.listed("requests", "show", request)[0]["expires_at"]
        seen = ann.asks(READ)
        assert RAW_EMAIL in seen
        assert RAW_SSN in seen
        before = ""
        while time.time() < over:
            before = ann.asks(READ)
            # What was said before the time is over and answered after it may be either.
            assert not is_masked(before) or time.time() >= over
        said = ann.asks(READ)
        assert is_masked(said)
        told = [before, said]

        def is_told() -> bool:
            told.append(ann.asks("SELECT 1"))
            return "its time is over" in "".join(told)

        eventually(is_told, "the client is told that the time is over")
        assert shop.listed("requests", "show", request)[0]["state"] == "expired"


def test_a_session_that_opens_meanwhile_sees_it_too_and_its_own_people_alone(shop: UnmaskStage) -> None:
    request = shop.unmasked("--for", "10m")
    try:
        seen = shop.psql("shop-prod", READ).fine()
        assert RAW_EMAIL in seen.out
        assert f"request `{request}` shows email raw until" in seen.err
        bob = shop.psql("shop-prod", READ, who="bob").fine()
        assert is_masked(bob.out)
        [shown] = [each.text for each in examples() if (each.page, each.language) == ("masking.md", "text")]
        assert shown in bob.err.replace(", public.payments.card", "").replace("card-number,", "")
        assert is_masked(shop.psql("shop-dev", READ).fine().out)
        assert is_masked(shop.psql("shop-closed", READ).fine().out)
    finally:
        cancel(shop, request)
    assert is_masked(shop.psql("shop-prod", READ).fine().out)


def test_nobody_approves_what_they_ask_and_the_approver_sees_what_it_is(shop: UnmaskStage) -> None:
    asked = shop.as_("per", "request", "shop-prod", "--unmask", "national-id, email", "--for", "10m").fine()
    request = asked.out.strip()
    shown = shop.as_("pia", "requests", "show", request).fine().out
    assert re.search(r"asks for: +email, national-id raw on shop-prod\n", shown)
    assert re.search(r"for: +10 min\n", shown)
    assert f"{request}  waiting  unmask  shop-prod  per" in re.sub(
        " {3,}", "  ", shop.as_("pia", "requests", "ls").fine().out
    )
    refused = shop.as_("per", "approve", request, "--yes")
    assert (refused.code, "your own" in refused.err) == (10, True)
    refused = shop.hoopx("approve", request, "--yes", who="dora")
    assert (refused.code, "in none of these groups" in refused.err) == (10, True)
    assert f"request {request} is denied" in shop.as_("pia", "deny", request, "--yes").fine().err


@pytest.mark.parametrize(
    ("who", "target", "unmask", "code", "why"),
    [
        ("bot", "shop-prod", "email", 10, "agents-see-no-raw-values"),
        ("sam", "shop-closed", "email", 10, "no rule permits `reveal`"),
        ("pia", "shop-prod", "email", 10, "no rule permits `reveal`"),
        ("sam", "shop-prod", "email,", 2, "is no list of classes"),
        ("sam", "nowhere", "email", 2, "there is no target"),
    ],
)
def test_what_nobody_could_agree_to_is_not_asked(
    shop: UnmaskStage, who: str, target: str, unmask: str, code: int, why: str
) -> None:
    refused = shop.as_(who, "request", target, "--unmask", unmask)
    assert refused.code == code, refused
    assert why in refused.err


def test_who_sees_it_anyway_need_not_ask_and_a_misspelt_class_is_told(shop: UnmaskStage) -> None:
    refused = shop.hoopx("request", "shop-prod", "--unmask", "email", who="dora")
    assert (refused.code, "you see it raw in any session" in refused.err) == (2, True)
    shop.psql("shop-prod", "SELECT 1").fine()  # the broker has looked at the catalog
    refused = shop.hoopx("request", "shop-prod", "--unmask", "emial")
    assert (refused.code, "did you mean `email`?" in refused.err) == (2, True)


KEEPING = [
    "COPY customers TO STDOUT",
    "COPY (SELECT email FROM customers) TO STDOUT",
    "CREATE TABLE kept AS SELECT email FROM customers",
    "CREATE TEMP TABLE kept AS SELECT email FROM customers",
    "SELECT email INTO kept FROM customers",
    "CREATE MATERIALIZED VIEW kept AS SELECT email FROM customers",
    "INSERT INTO orders (customer_id, item) SELECT id, email FROM customers",
    "UPDATE orders SET item = email FROM customers WHERE customers.id = orders.customer_id",
    "SELECT set_config('application_name', email, false) FROM customers WHERE id = 1",
    "SELECT pg_notify('there', email) FROM customers WHERE id = 1",
    "DO $$ BEGIN PERFORM email FROM customers; END $$",
]


def test_what_is_seen_is_not_stored(shop: UnmaskStage) -> None:
    with psql(shop, "shop-dev") as ann:
        request = shop.unmasked("--for", "10m", target="shop-dev")
        assert RAW_EMAIL in ann.asks(READ)
        for sql in KEEPING:
            said = ann.asks(sql)
            assert ("ERROR:" in said) or sql.startswith("COPY"), sql
            assert is_masked(said), sql
        assert RAW_EMAIL in ann.asks(READ)
        cancel(shop, request)
    assert shop.postgres.sql("SELECT count(*) FROM orders WHERE item LIKE '%@%'") == [(0,)]


# Each is made while the class is seen raw, and asked again when it is not.
KEPT_OPEN = {
    "a cursor": (
        "BEGIN; DECLARE c CURSOR FOR SELECT email FROM customers ORDER BY id; FETCH 1 FROM c",
        "FETCH 1 FROM c",
    ),
    "a statement prepared by SQL": (f"PREPARE p AS {READ}; EXECUTE p", "EXECUTE p"),
    "the statement itself": (READ, READ),
    "an expression": ("SELECT lower(email) FROM customers WHERE id = 1",) * 2,
}


@pytest.mark.parametrize("how", KEPT_OPEN)
def test_nothing_that_was_made_meanwhile_shows_it_afterwards(shop: UnmaskStage, how: str) -> None:
    first, again = KEPT_OPEN[how]
    with psql(shop) as ann:
        request = shop.unmasked("--for", "10m")
        for sql in first.split("; "):
            seen = ann.asks(sql)
        assert RAW_EMAIL in seen
        cancel(shop, request)
        seen = ann.asks(again)
        assert "ERROR" not in seen
        assert is_masked(seen)
        assert "person2@" not in seen


def test_a_driver_that_prepared_it_sees_it_masked_at_the_next_run(shop: UnmaskStage) -> None:
    script = """
        import psycopg, sys
        with psycopg.connect(autocommit=True) as connection:
            for line in sys.stdin:
                cursor = connection.cursor(binary=line.strip() == 'binary')
                row = cursor.execute('SELECT email FROM customers WHERE id = %s', [1], prepare=True).fetchone()
                print(*row, flush=True)
    """
    request = shop.unmasked("--for", "10m")
    command = [shutil.which("hoopx", path=shop.environment("ann")["PATH"]) or "", "exec", "shop-prod", "--"]
    process = subprocess.Popen(
        [*command, *clients.python(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=shop.environment("ann"),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        seen: list[str] = []
        for form in ("text", "binary", "text", "binary"):
            if len(seen) == 2:
                cancel(shop, request)
            process.stdin.write(f"{form}\n")
            process.stdin.flush()
            seen.append(process.stdout.readline().strip())
    assert seen[:2] == [RAW_EMAIL, RAW_EMAIL]
    assert RAW_EMAIL not in seen[2:]


def test_an_answer_under_way_breaks_off_when_its_time_is_over(shop: UnmaskStage) -> None:
    # Rows as large as the server's buffer, one each 50 ms: it would take ten seconds.
    slow = "SELECT pg_sleep(0.05), repeat(email, 500) FROM customers ORDER BY id"
    with psql(shop) as ann:
        shop.unmasked("--for", "3s")
        ann.asks("\\set FETCH_COUNT 0")
        began = time.monotonic()
        said = ann.asks(slow)
        assert time.monotonic() - began < 8
        assert "what this answer shows is masked again" in said
        assert "person200@" not in said


def test_those_who_could_have_refused_it_end_it_too_and_others_do_not(shop: UnmaskStage) -> None:
    with psql(shop) as ann:
        request = shop.unmasked("--for", "10m")
        refused = shop.hoopx("requests", "cancel", request, who="bob")
        assert refused.code != 0
        assert RAW_EMAIL in ann.asks(READ)
        shop.as_("pia", "requests", "cancel", request).fine()
        assert is_masked(ann.asks(READ))


def test_the_recording_and_the_list_tell_what_was_seen_raw_and_by_whose_word(shop: UnmaskStage) -> None:
    with psql(shop) as ann:
        ann.asks(READ)
        request = shop.unmasked("--for", "10m")
        ann.asks(READ)
        shown = shop.hoopx("sessions", "show", ann.session).fine().out
        assert re.search(rf"unmasked: +email from \S+ \S+, still, request {request}\n", shown)
        cancel(shop, request)
        ann.asks(READ)
    told = shop.told(ann.session)
    story = ["UNMASKED until", "approved by: pia", RAW_EMAIL, "no longer UNMASKED", "it was taken back"]
    places = [told.index(word) for word in story]
    assert places == sorted(places)
    assert told.count(RAW_EMAIL) == 1
    shown = shop.hoopx("sessions", "show", ann.session).fine().out
    assert re.search(rf"unmasked: +email from \S+ \S+ to \S+ \S+, request {request}\n", shown)
    proved = shop.hoopx("sessions", "verify", ann.session)
    assert "whole and unchanged" in proved.fine().out


def test_a_changed_policy_ends_it(own_postgres: Postgres, tmp_path: Path) -> None:
    stage = UnmaskStage(tmp_path / "changed", own_postgres)
    with playing(stage):
        request = stage.unmasked("--for", "10m")
        assert RAW_EMAIL in stage.psql("shop-prod", READ).fine().out
        stage.stop_broker()
        stage.start_broker()
        assert RAW_EMAIL in stage.psql("shop-prod", READ).fine().out, "a restart alone ends nothing"
        stage.stop_broker()
        (stage.home / "policies" / "90-more.cedar").write_text(
            '@id("more")\npermit (principal in Group::"elsewhere", action == Action::"connect", resource);\n'
        )
        stage.start_broker()
        assert is_masked(stage.psql("shop-prod", READ).fine().out)
        assert stage.listed("requests", "show", request)[0]["state"] == "approved"

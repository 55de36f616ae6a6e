"""Examples of the pages of reference, typed at a broker with real clients; `docs/tasks` has a file of its own.

`tests/unit/test_docs_examples.py` knows of every example which test runs it.
"""

from __future__ import annotations

import json
import re
import signal
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.journeys.stage import POLICIES, Stage, running, typed
from tests.journeys.test_login import log_in
from tests.peers import clients, found
from tests.unit.docs_examples import examples

NOTHING: Mapping[str, str] = {}


def of(page: str, language: str = "sh") -> list[str]:
    names = {"prod-db": "shop-prod", "ann@example.com": "lena", "--account bob": "--account lena"}
    texts = [each.text for each in examples() if (each.page, each.language) == (page, language)]
    for name, ours in names.items():
        texts = [text.replace(name, ours) for text in texts]
    return texts


class Shell:
    """Where a reader types, with `psql` at hand."""

    def __init__(self, stage: Stage, here: Path) -> None:
        self.stage, self.here = stage, here

    def types(
        self, text: str, who: str = "ann", more: Mapping[str, str] = NOTHING, stdin: str = "", code: int = 0
    ) -> clients.Outcome:
        """Line by line until one fails. The last one leaves with `code`."""
        out, err = "", ""
        *before, last = text.strip().splitlines()
        for line in [*before, last]:
            environ = self.stage.environment(who, **more)
            environ["PATH"] += f":{found.program('psql').parent}"
            done = typed(line, environ, self.here, stdin)
            assert done.code == (code if line is last else 0), (line, done.out, done.err)
            out, err = out + done.out, err + done.err
        return clients.Outcome(code, out, err)


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Shell:
    return Shell(stage, tmp_path)


def test_a_job_with_files_and_a_client_without_hoopx(stage: Stage, shell: Shell) -> None:
    job, native, _ = of("cli.md")
    (shell.here / "report.sh").write_text("#!/bin/sh\ncat\npsql -XAtc 'select count(*) from orders'\n")
    (shell.here / "report.sh").chmod(0o755)
    (shell.here / "input.csv").write_text("orders\n")
    shell.types(job)
    assert (shell.here / "report.csv").read_text() == "orders\n400\n"
    events = [json.loads(line)["event"] for line in (shell.here / "events.jsonl").read_text().splitlines()]
    assert events == ["opened", "ready", "ended"]
    assert of("protocols/postgres.md") == [native]
    here = native.replace("host=broker.example.com port=8443", f"host=127.0.0.1 port={stage.url.rpartition(':')[2]}")
    assert "400" in shell.types(here, stdin="select count(*) from orders;\n").out


def test_the_brake(stage: Stage, shell: Shell) -> None:
    """Each line ends the session that is open then."""
    for line in of("cli.md")[2].splitlines():
        with running(stage, "exec", "shop-prod", "--", "sh", "-c", "echo begun; sleep 600") as work:
            work.says("begun")
            lease, *_ = stage.listed("leases", "ls", "--target", "shop-prod", "--user", "ann", who="sam")
            # What others have left at servers that do not answer cannot be confirmed, and `--all` says so.
            left = "--all" in line and stage.listed("leases", "ls", "--state", "ending", who="sam")
            shell.types(line.replace("l_4k2m8q0xyz4k2m8q", lease["id"]), who="sam", code=15 if left else 0)
            assert work.end().code != 0


def test_logins(stage: Stage, shell: Shell) -> None:
    first, several = of("login.md")
    elsewhere = {"HOOPX_BROKER": ""}
    log_in(stage, *first.split()[2:-1], stage.url, **elsewhere)
    again, listed, *rest = several.splitlines()
    assert again.split("#")[0].split() == ["hoopx", "login"]
    log_in(stage, **elsewhere)
    assert re.search(r"\* *lena|lena.*\*", shell.types(listed, "lena", elsewhere).out)
    shell.types("\n".join(rest), "lena", elsewhere)


def test_the_log_and_its_key(stage: Stage, shell: Shell) -> None:
    since, ann, follows = of("evidence.md")[0].splitlines()
    assert shell.types(f"{since}\n{ann}", "sam").out
    with running(stage, *follows.split()[1:], who="sam") as follower:
        follower.says("session")
        assert follower.end(signal.SIGINT).code in (0, 130)
    [keys] = [text for text in of("evidence.md") if "keys rotate" in text]
    key, form, rotate = keys.splitlines()
    ours = {"HOOPX_CONFIG": str(stage.config)}
    told = json.loads(shell.types(form, more=ours).out)
    assert told["evidence_key"] == shell.types(key, more=ours).out.strip()
    assert all(f'"{name}"' in form for name in told)
    assert "a broker runs" in shell.types(rotate, more=ours, code=2).err, "as the page says: while it is stopped"


def test_a_session_exported_proved_and_judged_again(stage: Stage, shell: Shell) -> None:
    stage.psql("shop-prod", "SELECT count(*) FROM orders").fine()
    session = stage.listed("sessions", "ls", "--target", "shop-prod", "--limit", "1")[0]["id"]
    export, verify = (text.removeprefix("$ ") for text in of("verify.md", "console"))
    shell.types(export.replace("s_4k2m8q0xyz4k2m8q", session))
    key = stage.hoopx("broker", "keys", "--config", str(stage.config)).fine().out.strip()
    assert session in shell.types(re.sub(r"'.*'", f"'{key}'", verify), more={"HOOPX_BROKER": "https://127.0.0.1:9"}).out
    for name in ("policies", "new"):
        (shell.here / name).symlink_to(POLICIES)
    asked, named = of("replay.md")[0].splitlines()
    assert "1 sessions" in shell.types(named).err
    looked_for = asked.replace("--config hoopx.yaml", f"--config {stage.config} --exit-code 0")
    assert "sessions" in shell.types(looked_for).err


def test_what_a_masked_client_sees(shell: Shell) -> None:
    [classify] = of("masking.md", "console")
    command, _, shown = classify.removeprefix("$ ").partition("\n")
    proposed = shell.types(command)
    known, heading, *_ = shown.splitlines()
    assert known in proposed.err
    assert heading in proposed.out
    assert "public.customers.name: name  # by its name" in proposed.out
    assert "public.customers.name: name  # by its name" in shown
    (statement,), (answer,) = of("walk.md", "sql"), of("walk.md", "text")
    read = shell.types("hoopx exec shop-prod -- psql -X", stdin=statement)
    expected = textwrap.dedent(answer).splitlines()
    assert [line.rstrip() for line in read.out.splitlines()][: len(expected)] == expected


def test_what_the_page_on_postgres_roles_sets_up(stage: Stage) -> None:
    """Taken back afterwards."""
    administrator, revoked = of("credentials/postgres-role.md", "sql")
    administrator = administrator.replace("hoopx_admin", "docs_admin")
    revoked = revoked.replace("DATABASE app", f"DATABASE {stage.postgres.database}")
    pay = "CREATE FUNCTION public.pay(integer) RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    stage.postgres.sql(f"BEGIN; {pay}; {administrator} {revoked}; ROLLBACK")

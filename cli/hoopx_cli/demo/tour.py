"""The tour: what each scene claims is looked at in the database or the evidence before it is told."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hoopx_broker.terms.errors import BackendFailed
from hoopx_cli.demo import children, cluster
from hoopx_cli.demo.ground import Ground, laid
from hoopx_cli.demo.people import Person, roles_left
from hoopx_cli.narrator import Narrator

WHO = "SELECT current_user AS minted_for_this_session"
READ = "SELECT id, item, total FROM orders ORDER BY id LIMIT 3"
MASKED = "SELECT name, email AS contact, 'born ' || born AS about FROM customers ORDER BY id LIMIT 3"
DROP = "DROP TABLE orders"
UNBOUNDED = "DELETE FROM orders"
STILL_THERE = "SELECT count(*) AS still_here FROM orders"
SOLD = "SELECT item, sold, turnover FROM analytics_sales ORDER BY item"
PEOPLE = "SELECT name, city FROM customers"
SALARIES = "SELECT person, monthly FROM salaries ORDER BY person"
# What to type once the tour is over.
_TRY = (
    ("hoopx ls", "what ann may reach"),
    ("hoopx exec prod-db -- psql", "as ann; try: select * from customers; drop table orders;"),
    ("hoopx connect prod-db", "as ann; prints a psql line for any other terminal"),
    ("hoopx exec payroll-db --wait 5m -- psql", "as ann; waits for dora"),
    ("hoopx requests ls", "as dora; then: hoopx approve ID"),
    ("hoopx leases ls", "as ann, beside an open session: the role that it was given, and until when"),
    ("hoopx sessions ls", "as ann; then: hoopx sessions replay ID"),
)
_BOTH = re.compile(r"who\s+claude \(agent\) on behalf of ann")
RAW = ("ada.quill@example.com", "000-12-3456", "1984-03-01")


class Claim(BackendFailed):
    """Something that the tour says did not happen."""


def run(tell: Narrator, *, keep: bool) -> None:
    """Play every scene; with `keep`, stay up until Ctrl-C. Raises a `HoopxError` as soon as a claim does not hold."""
    began = time.monotonic()
    tell.title("hoopx: a connection broker with just-in-time credentials")
    tell.say("Starting a PostgreSQL with made-up people, a broker and its own identity provider ...")
    with laid() as ground:
        tell.fact("broker", f"{ground.url}  {ground.fingerprint[:23]}…")
        tell.fact("database", f"PostgreSQL on port {ground.cluster.port}, TLS and SCRAM, behind the broker")
        tour = _Tour(tell, ground)
        tour.play()
        tell.title(f"All of it real, in {time.monotonic() - began:.0f} s")
        if keep:
            _stay(tell, tour.people, ground)
    tell.say("Everything has been stopped and removed.")


class _Tour:
    def __init__(self, tell: Narrator, ground: Ground) -> None:
        self._tell = tell
        self._ground = ground
        self._ann = Person("ann", ground)
        self._dora = Person("dora", ground)
        self.people = (self._ann, self._dora)

    def play(self) -> None:
        for scene in (
            self._login,
            self._theft,
            self._look,
            self._work,
            self._approval,
            self._agent,
            self._evidence,
            self._gone,
        ):
            scene()

    def _login(self) -> None:
        self._tell.scene("Log in", "OIDC device flow: the code is typed on any device, nothing is pasted here")
        for person in self.people:
            self._tell.command(person.name, "hoopx login")
            page, code = person.logs_in()
            self._tell.say(f"{page} took the code {code}, a password and a yes")
        self._show(self._ann, "whoami")

    def _theft(self) -> None:
        self._tell.scene("Steal a token", "somebody has copied ann's token from her laptop, and tries it on their own")
        thief = Person("mallory", self._ground, self._ann.kept_token())
        self._tell.command("mallory", "HOOPX_TOKEN=eyJ… hoopx whoami")
        tried = thief.does("whoami")
        self._tell.output(tried.stdout)
        self._demand(tried.returncode != 0 and "not accepted" in tried.stdout, "the copied token was taken")
        self._tell.checked("the token is bound to a key of ann's login, which every call proves: a copy opens nothing")

    def _look(self) -> None:
        self._tell.scene("See what there is", "each identity sees its own targets")
        self._show(self._ann, "ls")

    def _work(self) -> None:
        title = "Work through the broker with psql"
        self._tell.scene(title, "one connection; a role was minted for it; each statement is judged on its way")
        statements = (WHO, READ, MASKED, DROP, UNBOUNDED, STILL_THERE)
        self._tell.command("ann", "hoopx exec prod-db -- psql", *(f"{each};" for each in statements))
        before = self._ground.cluster.sql("SELECT count(*) FROM orders")
        done = self._ann.psql("prod-db", *statements)
        self._tell.output(done.stdout)
        self._demand(not any(value in done.stdout for value in RAW), "a masked value came through")
        self._demand("*****" in done.stdout and "kettle" in done.stdout, "the reads gave no rows")
        self._demand("no-ddl-in-prod" in done.stdout and "no-unbounded-write" in done.stdout, "nothing was denied")
        self._demand("still_here" in done.stdout, "the connection did not survive the denials")
        self._demand(self._ground.cluster.sql("SELECT count(*) FROM orders") == before, "rows are missing")
        self._tell.checked("e-mail and birth date are masked, under an alias and inside an expression too")
        self._tell.checked("DROP and DELETE never reached the server: the table and its rows are all there")
        self._tell.checked("the same connection went on working after each denial")

    def _approval(self) -> None:
        title = "Ask a human"
        self._tell.scene(title, "payroll-db is labelled `approval: required`: somebody of the group dba must agree")
        log = self._ground.home / "payroll.log"
        asking = ("exec", "payroll-db", "--reason", "quarter close", "--wait", "2m")
        self._tell.command("ann", f"{shlex.join(('hoopx', *asking))} -- psql", f"{SALARIES};")
        waiting = self._ann.begins(log, *asking, "--", *cluster.psql(), "-c", SALARIES)
        request = self._ann.request_in(log, waiting)
        heard = log.read_bytes()
        self._tell.output(heard.decode(errors="replace"))
        self._show(self._dora, "requests", "ls")
        own = self._ann.does("approve", request, "--yes")
        self._demand(own.returncode != 0, "ann approved her own request")
        self._tell.command("ann", f"hoopx approve {request}")
        self._tell.output(own.stdout)
        self._show(self._dora, "approve", request, "--comment", "until noon", "--yes")
        code = waiting.wait(children.COMMAND_SECONDS)
        said = log.read_bytes()
        self._tell.output(said[len(heard) :].decode(errors="replace"))
        self._demand(code == 0 and b"4100" in said, "the approved session did not run")
        self._tell.checked("ann's psql went on by itself as soon as dora agreed; ann cannot agree with herself")

    def _agent(self) -> None:
        self._tell.scene(
            "Let an agent work", "claude acts on behalf of ann: it may do what policy allows to both of them"
        )
        self._tell.command("ann", "hoopx agent --target prod-db -- psql", f"{SOLD};", f"{PEOPLE};")
        done = self._ann.agent_psql("prod-db", SOLD, PEOPLE)
        self._tell.output(done.stdout)
        self._demand("kettle" in done.stdout, "the agent read nothing")
        self._demand("agents-analytics-only" in done.stdout, "the agent was not held to its own rules")
        self._demand("Ada Quill" not in done.stdout, "the agent read what is ann's alone")
        who = self._ann.does("sessions", "replay", self._session_on("prod-db"))
        self._demand(bool(_BOTH.search(who.stdout)), "the recording does not name both")
        self._tell.checked("ann may read customers, her agent may not; the recording names both, the agent and ann")

    def _evidence(self) -> None:
        why = "every entry was on disk before its bytes were sent, and is chained to the one before"
        self._tell.scene("Replay and prove", why)
        self._show(self._ann, "sessions", "ls")
        id_ = self._session_on("prod-db", "ann")
        self._show(self._ann, "sessions", "replay", id_)
        file = self._ann.home / f"{id_}.hoopx"
        self._show(self._ann, "sessions", "export", id_, "--to", file.name)
        key = self._key()
        self._show(self._ann, "sessions", "verify", file.name, "--key", key)
        _flip_one_bit(file)
        self._tell.say("now one bit of the file is flipped, and nobody asks the broker:")
        self._tell.command("ann", shlex.join(("hoopx", "sessions", "verify", file.name, "--key", key)))
        forged = self._ann.does("sessions", "verify", file.name, "--key", key)
        self._tell.output(forged.stdout)
        self._demand(forged.returncode != 0, "the changed file was believed")
        self._tell.checked(
            "the proof needs the file and a public key, nothing else; one bit breaks it; the log has it too"
        )

    def _gone(self) -> None:
        self._tell.scene("Nothing outlives its session", "the roles that the broker minted, looked up in the database")
        roles = roles_left(self._ground)
        self._tell.command("postgres", "psql", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'hoopx\\_s\\_%';")
        self._tell.output("\n".join(roles) or "(0 rows)")
        self._demand(not roles, f"roles are still there: {', '.join(roles)}")
        self._show(self._ann, "leases", "ls")
        self._tell.checked("every minted role is dropped and its connections are cut; the broker owes nobody anything")

    def _session_on(self, target: str, user: str = "claude") -> str:
        """The newest session of that user, as ann sees it."""
        listed = json.loads(self._ann.does("sessions", "ls", "--target", target, "-o", "json").stdout)
        return next(str(each["id"]) for each in listed if each["user"] == user)

    def _key(self) -> str:
        config = self._ground.home / "hoopx.yaml"
        done = self._ann.does("broker", "keys", "--config", config)
        self._demand(done.returncode == 0, f"the broker has no key: {done.stdout}")
        self._tell.command("the broker's operator", "hoopx broker keys --config hoopx.yaml")
        self._tell.output(done.stdout)
        return done.stdout.strip()

    def _show(self, who: Person, *arguments: str) -> None:
        self._tell.command(who.name, shlex.join(("hoopx", *arguments)))
        done = who.does(*arguments)
        self._tell.output(done.stdout)
        self._demand(done.returncode == 0, f"`hoopx {arguments[0]}` left with {done.returncode}")

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Claim(f"the demo failed: {otherwise}", "run it again, and please report it")


def _flip_one_bit(file: Path) -> None:
    """In the middle, where the rows are."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _stay(tell: Narrator, people: Sequence[Person], ground: Ground) -> None:
    """Say how to go on by hand, and wait for Ctrl-C."""
    tell.scene("It stays up until Ctrl-C", "try it from other terminals, one for each person")
    for person in people:
        password = ground.passwords[person.name].reveal()
        tell.copy(f". {shlex.quote(str(person.terminal()))}", f"be {person.name} (who logs in anew with {password})")
    for line, why in _TRY:
        tell.copy(line, why)
    tell.copy(f"less {shlex.quote(str(ground.home / 'hoopx.yaml'))}", "the broker's configuration")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)

"""Another user of the same machine gets nothing: not by the port, nor by a socket file, nor by what lies about."""

from __future__ import annotations

import os
import re
import shlex
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from tests.journeys.agents import AgentStage
from tests.journeys.stage import Running, Stage, playing, running
from tests.journeys.test_login import log_in
from tests.peers import clients, found
from tests.peers.clients import HOOPX
from tests.peers.postgres import Postgres
from tests.peers.second_user import WHY_NOT, SecondUser, by_no_root, second_user

TARGET = "shop-prod"
URL = r"postgresql://\S+"

# Says what one of them may read of a process.
READ_PROCESS = """
import sys
for name in ("environ", "cmdline", "mem", "maps", "fd", "cwd"):
    path = f"/proc/{sys.argv[1]}/{name}"
    try:
        import os
        held = os.listdir(path) if name == "fd" else os.readlink(path) if name == "cwd" else open(path, "rb").read(9999)
    except OSError as error:
        held = type(error).__name__
    print(name, held)
"""
# Connects to a socket file or a port, says something, and prints what comes.
SPEAK = """
import socket, sys
where, said = sys.argv[1], bytes.fromhex(sys.argv[2])
made = socket.socket(socket.AF_UNIX if where.startswith("/") else socket.AF_INET)
made.settimeout(10)
try:
    made.connect(where if where.startswith("/") else ("127.0.0.1", int(where)))
    made.sendall(said)
    print("heard", made.recv(9999).hex())
except OSError as error:
    print("refused", type(error).__name__)
"""
# Walks through a folder and prints what it can read.
WALK = """
import os, sys
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        try:
            print(os.path.join(folder, name), open(os.path.join(folder, name), "rb").read(99999))
        except OSError:
            pass
try:
    os.listdir(sys.argv[1])
    print("listed")
except OSError:
    pass
"""
# Listens on a port of loopback, and prints all that it is told until its input ends.
SQUAT = """
import socket, sys, threading
made = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
def hear():
    while True:
        client, _ = made.accept()
        client.settimeout(5)
        print("told", client.recv(9999).hex(), flush=True)
threading.Thread(target=hear, daemon=True).start()
sys.stdin.read()
"""
CUT_OFF = ("heard", "refused ConnectionResetError", "refused BrokenPipeError")
STARTUP = "0000001300030000757365720068656c6c6f000000"


@pytest.fixture(scope="module")
def other() -> SecondUser:
    known = second_user()
    if known is None:
        pytest.skip(WHY_NOT)
    return known


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach: pytest's own are their owner's alone, and would prove nothing."""
    with tempfile.TemporaryDirectory(prefix="hoopx-other-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _dsn(command: Running) -> str:
    command.says(URL)
    said = re.search(URL, command.out)
    assert said is not None
    return said.group(0)


def _password(dsn: str) -> str:
    return unquote(urlsplit(dsn).password or "")


def _psql(other: SecondUser, port: int, **environ: str) -> str:
    done = other.run("psql", f"host=127.0.0.1 port={port} user=hoopx dbname=app", "-w", "-c", "SELECT 1", **environ)
    assert done.returncode != 0
    return done.stderr


# The port.


def test_the_port_is_shut_to_whoever_has_not_the_password(stage: Stage, other: SecondUser) -> None:
    with running(stage, "connect", TARGET) as command:
        port = urlsplit(_dsn(command)).port or 0
        before = stage.minted_streams()
        assert "no password supplied" in _psql(other, port)
        assert "wrong password" in _psql(other, port, PGPASSWORD="guess")
        assert stage.minted_streams() == before


def test_cancel_requests_of_another_user_do_not_crowd_out_the_owner(stage: Stage, other: SecondUser) -> None:
    flood = """
import socket, sys
packet = bytes.fromhex("0000001004d2162e0000000700000001")
made = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(300)]
for each in made:
    each.sendall(packet)
print("sent")
"""
    with running(stage, "connect", TARGET) as command:
        dsn = _dsn(command)
        with psycopg.connect(dsn) as connection:
            assert other.tries(flood, str(urlsplit(dsn).port)) == "sent"
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with psycopg.connect(dsn, connect_timeout=20) as another:
                assert another.execute("SELECT 2").fetchone() == (2,)


def test_a_port_that_was_taken_meanwhile_is_not_the_one_that_clients_are_told(stage: Stage, other: SecondUser) -> None:
    with running(stage, "connect", "shop-dev") as command:
        old = urlsplit(_dsn(command)).port or 0
        command.end(signal.SIGINT)
    squatter = other.start(SQUAT, str(old))
    assert squatter.stdout is not None
    try:
        assert squatter.stdout.readline() == "listening\n"
        with running(stage, "connect", "shop-dev") as command:
            dsn = _dsn(command)
            assert urlsplit(dsn).port != old
            assert str(old) not in command.out
            command.says(f"another program listens on port {old}")
            with psycopg.connect(dsn) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        outcome = stage.exec("shop-dev", clients.psql("SELECT 3"))
        assert outcome.fine().out == "3\n"
        assert str(old) not in outcome.err, "the port that it has now is remembered"
    finally:
        said, _ = squatter.communicate("")
    assert "told" not in said, "nobody was led there"


# What processes hold.


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc here, where processes could be read")
def test_the_password_is_in_nothing_that_another_user_reads_of_a_process(stage: Stage, other: SecondUser) -> None:
    waits = clients.psql("SELECT pg_sleep(60)")
    with running(stage, "exec", TARGET, "--", "sh", "-c", f"echo $PGPASSWORD; {shlex.join(waits)}; true") as command:
        command.says(r"\S{40}")
        password, token = command.out.strip(), stage.environment("ann")["HOOPX_TOKEN"].rpartition(".")[0]
        stage.await_on_target("SELECT pg_sleep(60)")
        pids = _family(command.process.pid)
        assert len(pids) == 3, "hoopx, the shell, and psql"
        for pid in pids:
            seen = other.tries(READ_PROCESS, str(pid))
            assert "environ PermissionError" in seen
            assert "mem PermissionError" in seen
            assert password not in seen
            assert token not in seen


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc here, where processes could be read")
def test_the_process_of_an_agent_is_shut_to_its_own_child(agents: AgentStage) -> None:
    """The same user, without root's rights: the human's token is in the environment of `hoopx agent`."""
    if os.geteuid() == 0 and not by_no_root():
        pytest.skip("root reads every process, and `unshare --user` does not work here")
    look = """
        import os
        try:
            print("open", len(open(f"/proc/{os.getppid()}/environ", "rb").read()))
        except PermissionError:
            print("shut")
    """
    outcome = clients.run(
        [*by_no_root(), HOOPX, "agent", "--target", TARGET, "--", *clients.python(look)], agents.environment("ann")
    )
    assert outcome.fine().out == "shut\n"


@pytest.fixture(scope="module")
def agents(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentStage]:
    found.require("psql")
    with playing(AgentStage(tmp_path_factory.mktemp("agents-alone"), postgres)) as played:
        yield played


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in below for each in _family(int(child)))]


# The socket file.


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o777])
def test_a_socket_file_hears_its_owner_alone_whatever_its_mode(
    stage: Stage, other: SecondUser, open_folder: Path, mode: int
) -> None:
    path = open_folder / ".s.PGSQL.5432"
    with running(stage, "connect", TARGET, "--socket", str(path)) as command:
        command.says(URL)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(mode)
        before = stage.minted_streams()
        said = other.tries(SPEAK, str(path), STARTUP)
        assert said in (*CUT_OFF, "refused PermissionError")
        assert said.startswith("refused PermissionError") == (mode == 0o600)
        assert stage.minted_streams() == before
        with psycopg.connect(host=str(open_folder), dbname="app", user="anyone") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_no_socket_file_stands_where_others_could_put_theirs(
    stage: Stage, other: SecondUser, open_folder: Path
) -> None:
    free_for_all = open_folder / "free"
    free_for_all.mkdir()
    free_for_all.chmod(0o777)
    inside = free_for_all / "ours"
    inside.mkdir(mode=0o700)
    for folder in (free_for_all, inside):
        refused = stage.hoopx("connect", TARGET, "--socket", str(folder / "db"), "--", "true")
        assert refused.code == 2
        assert f"other users could replace what stands in `{free_for_all}`" in refused.err
    free_for_all.chmod(0o1777)  # as /tmp is
    stage.hoopx("connect", TARGET, "--socket", str(free_for_all / "db"), "--", "true").fine()


def test_no_socket_file_stands_in_a_folder_of_somebody_else(stage: Stage, other: SecondUser, open_folder: Path) -> None:
    free_for_all = _sticky(open_folder)
    other.tries("import os, sys; os.mkdir(sys.argv[1], 0o777)", str(free_for_all / "theirs"))
    refused = stage.hoopx("connect", TARGET, "--socket", str(free_for_all / "theirs" / "db"), "--", "true")
    assert (refused.code, "could replace" in refused.err) == (2, True)
    other.tries("import os, sys; os.symlink(sys.argv[2], sys.argv[1])", str(free_for_all / "way"), str(open_folder))
    theirs = free_for_all / "theirs"
    other.tries("import os, sys; os.symlink(sys.argv[2], sys.argv[1])", str(free_for_all / "trap"), str(theirs))
    refused = stage.hoopx("connect", TARGET, "--socket", str(free_for_all / "trap" / "db"), "--", "true")
    assert (refused.code, "could replace" in refused.err) == (2, True)


@pytest.mark.parametrize("leads_to", ["nowhere", "a file of ours", "a socket of theirs"])
def test_a_link_of_somebody_else_is_not_followed_to_make_a_socket(
    stage: Stage, other: SecondUser, open_folder: Path, leads_to: str
) -> None:
    free_for_all, ours = _sticky(open_folder), open_folder / "precious"
    ours.write_text("precious")
    end = {"nowhere": open_folder / "gone", "a file of ours": ours, "a socket of theirs": free_for_all / "s"}[leads_to]
    if leads_to == "a socket of theirs":
        other.tries("import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", str(end))
    other.tries("import os, sys; os.symlink(sys.argv[2], sys.argv[1])", str(free_for_all / "db"), str(end))
    for name in ("db", *(["s"] if leads_to == "a socket of theirs" else [])):
        refused = stage.hoopx("connect", TARGET, "--socket", str(free_for_all / name), "--", "true")
        assert refused.code == 2
    assert ours.read_text() == "precious"
    assert not (open_folder / "gone").exists()


def test_names_that_somebody_else_took_are_left_to_them(stage: Stage, other: SecondUser, open_folder: Path) -> None:
    """A dangling link under libpq's first name: not ours to remove, and no reason to fail."""
    free_for_all = _sticky(open_folder)
    taken = free_for_all / ".s.PGSQL.5432"
    other.tries("import os, sys; os.symlink('gone', sys.argv[1])", str(taken))
    shown = stage.hoopx("connect", TARGET, "--socket", str(free_for_all / "db"), "--", "sh", "-c", "echo $PGPORT")
    assert shown.fine().out == "5433\n"
    assert taken.is_symlink()


def _sticky(open_folder: Path) -> Path:
    made = open_folder / "like-tmp"
    made.mkdir()
    made.chmod(0o1777)
    return made


# The state directory.


def test_the_state_directory_is_shut_whatever_the_umask(stage: Stage, other: SecondUser, open_folder: Path) -> None:
    home = open_folder / "hoopx"
    before = os.umask(0)
    try:
        more = {"HOOPX_HOME": str(home)}
        stage.hoopx("ls", **more).fine()
        stage.hoopx("exec", TARGET, "--", "true", **more).fine()
        stage.hoopx("sessions", "ls", **more).fine()
        log_in(stage, **more)
    finally:
        os.umask(before)
    kept = {path.name for path in home.rglob("*") if path.is_file()}
    assert {"logins.json", "ports.json", "targets"} <= kept, "a login without a keyring is in a file"
    assert other.tries(WALK, str(home)) == ""
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_state_directory_that_was_open_to_others_is_shut_to_their_files(
    stage: Stage, other: SecondUser, open_folder: Path
) -> None:
    home = open_folder / "hoopx"
    home.mkdir()
    home.chmod(0o777)
    stage.hoopx("exec", TARGET, "--", "true", HOOPX_HOME=str(home)).fine()
    assert not stat.S_IMODE(home.stat().st_mode) & 0o022
    assert "PermissionError" in other.run(other.python, "-c", f"open({str(home / 'ports.json')!r}, 'w')").stderr


def test_a_state_directory_of_somebody_else_is_not_used(stage: Stage, other: SecondUser, open_folder: Path) -> None:
    free_for_all = _sticky(open_folder)
    other.tries("import os, sys; os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], 0o777)", str(free_for_all / "hoopx"))
    refused = stage.hoopx("exec", TARGET, "--", "true", HOOPX_HOME=str(free_for_all / "hoopx"))
    assert (refused.code, "another user's" in refused.err) == (2, True)


def test_instructions_are_not_written_by_way_of_somebody_else(
    agents: AgentStage, other: SecondUser, open_folder: Path
) -> None:
    free_for_all, ours = _sticky(open_folder), open_folder / "AGENTS.md"
    ours.write_text("<!-- hoopx:begin -->\nkept\n<!-- hoopx:end -->\n")
    link = "import os, sys; os.symlink(sys.argv[2], sys.argv[1])"
    other.tries(link, str(free_for_all / "AGENTS.md"), str(ours))
    other.tries(link, str(free_for_all / "new.md"), str(open_folder / "gone.md"))
    for name in ("AGENTS.md", "new.md"):
        asked = ["--target", TARGET, "--instructions", str(free_for_all / name)]
        assert agents.hoopx("agent", *asked, "--", "true").code == 2
    assert "kept" in ours.read_text()
    assert not (open_folder / "gone.md").exists()


def test_a_socket_of_an_agent_is_as_shut_as_any(agents: AgentStage, other: SecondUser, tmp_path: Path) -> None:
    done = tmp_path / "done"
    wait = ["sh", "-c", f"echo $PGPORT; while [ ! -e {done} ]; do sleep 0.1; done"]
    with agents.agent("--target", TARGET, "--", *wait) as command:
        port = int(command.says(r"(?m)^(\d+)$").group(1))
        assert "no password supplied" in _psql(other, port)
        assert "wrong password" in _psql(other, port, PGPASSWORD="guess")
        cancel = "0000001004d2162e0000000700000001"
        assert other.tries(SPEAK, str(port), cancel) in CUT_OFF
        assert not agents.open_sessions(), "nobody but the agent opens a session"
        done.touch()
        command.end().fine()

"""Sessions behind the terminal: found, asked and ended by their own user alone, whatever was left or planted there."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from hoopx_broker.api.messages import Refusal, Waiting
from hoopx_broker.terms.errors import BadInput
from hoopx_cli import backgrounds, rundir
from hoopx_cli.backgrounds import Report
from tests.peers import second_user as others
from tests.peers.processes import eventually
from tests.unit.cli_broker_double import TOKEN, opened
from tests.unit.cli_stage import HOOPX, Stage, stage_in


@pytest.fixture(scope="module")
def playing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage_in(tmp_path_factory.mktemp("s")) as playing:
        yield playing


@pytest.fixture
def stage(playing: Stage) -> Iterator[Stage]:
    playing.double.answers = lambda order: [opened(order.target)]
    playing.double.hangups = 0
    yield playing
    backgrounds.end_those(playing.home / "hoopx", lambda _: True)


def _run(stage: Stage) -> Path:
    return stage.home / "hoopx" / "run"


def _status(stage: Stage) -> list[Report]:
    return backgrounds.all_of(stage.home / "hoopx")


def test_it_stays_open_when_its_terminal_is_closed_and_ends_by_disconnect(stage: Stage) -> None:
    ours, theirs = pty.openpty()
    command = [HOOPX, "connect", "prod-db", "--background", "--reason", "ticket 42", "--print", "url"]
    done = subprocess.run(
        command, env=stage.environment(), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True, timeout=60
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    url = done.stdout.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("hello").fetchone() == ("hello",)
    [report] = json.loads(stage.run("status", "-o", "json").stdout)
    assert (report["target"], report["state"], report["session"]) == ("prod-db", "open", "s_0000000000000000")
    assert "forms" not in report, "no password unless it is asked for"
    assert stage.run("status", "prod-db", "--print", "url").stdout.strip() == url
    seen = Path(f"/proc/{report['pid']}/cmdline").read_bytes()
    assert b"background_host" in seen
    for secret in (TOKEN, url.split(":")[2].split("@")[0], "ticket 42"):
        assert secret.encode() not in seen
    assert stage.run("disconnect", "prod-db").returncode == 0
    assert stage.double.hangups == 1
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)
    assert _status(stage) == []
    eventually(lambda: not Path(f"/proc/{report['pid']}").exists() or _is_dead(report["pid"]), "the process is gone")


def test_nothing_at_rest_holds_its_password(stage: Stage) -> None:
    url = stage.run("connect", "prod-db", "--background", "--print", "url").stdout.strip()
    password = url.split(":")[2].split("@")[0]
    for path in (stage.home / "hoopx").rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes(), path
        assert path.is_socket() or not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert stat.S_IMODE(_run(stage).stat().st_mode) == 0o700


def test_several_open_all_or_none(stage: Stage) -> None:
    stage.double.answers = lambda order: (
        [Refusal("policy says no", "", 10)] if order.target == "two" else [opened(order.target)]
    )
    done = stage.run("connect", "one", "two", "--background")
    assert (done.returncode, done.stdout) == (10, "")
    assert "policy says no" in done.stderr
    assert (stage.double.hangups, _status(stage)) == (1, [])
    stage.double.answers = lambda order: [opened(order.target)]
    assert stage.run("connect", "one", "two", "--background").returncode == 0
    assert [each.target for each in _status(stage)] == ["one", "two"]
    assert len({each.address for each in _status(stage)}) == 2
    backgrounds.end_those(stage.home / "hoopx", lambda report: report.target == "one")
    assert [each.target for each in _status(stage)] == ["two"], "the other stays"


def test_two_of_one_target_are_one_and_an_error(stage: Stage) -> None:
    commands = [
        subprocess.Popen([HOOPX, "connect", "prod-db", "--background"], env=stage.environment(), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for each in commands:
        each.communicate(timeout=60)
    assert sorted(each.returncode for each in commands) == [0, 2]
    assert len(_status(stage)) == 1


def test_what_a_killed_one_left_is_cleared_away(stage: Stage) -> None:
    stage.run("connect", "prod-db", "--background")
    [report] = _status(stage)
    os.kill(report.pid, signal.SIGKILL)
    eventually(lambda: _status(stage) == [], "it is not listed any more")
    assert not list(_run(stage).glob("bg-*"))
    assert stage.run("connect", "prod-db", "--background").returncode == 0
    assert _status(stage)[0].address == report.address, "the port is remembered"


def test_the_end_of_the_session_ends_it(stage: Stage) -> None:
    stage.run("connect", "prod-db", "--background")
    stage.double.end_sessions("killed by dora")
    eventually(lambda: _status(stage) == [], "it is not listed any more")
    [log] = [each for each in _run(stage).glob("*.log") if "killed by dora" in each.read_text()]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_an_approval_is_waited_for_in_front_and_ctrl_c_leaves_nothing(stage: Stage) -> None:
    waiting = Waiting("r_1234567890", {"dba": 1}, ("sensitive",), "", 4_000_000_000)
    stage.double.answers = lambda order: [waiting]
    with stage.begun("connect", "prod-db", "--background") as process:
        assert process.stderr is not None
        assert "needs approval" in process.stderr.readline()
        assert [each.state for each in _status(stage)] == ["opening"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert _status(stage) == []
    eventually(lambda: not stage.double.live, "every connection to the broker is closed")


def test_what_was_asked_of_none_is_said(stage: Stage) -> None:
    assert stage.run("disconnect", "prod-db").returncode == 2
    assert stage.run("disconnect").returncode == 2
    assert stage.run("disconnect", "prod-db", "--all").returncode == 2
    assert stage.run("status", "prod-db").returncode == 2
    assert stage.run("disconnect", "--all", "-o", "json").stdout == "[]\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = stage.run("connect", "prod-db", "--background", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (2, "")
    assert _status(stage) == []


# Attacks


@pytest.fixture
def short() -> Iterator[Path]:
    """Its path leaves room for a socket's."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_module_in_the_current_folder_is_not_taken_for_ours(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "hoopx_cli").mkdir()
    for name in ("__init__", "background_host"):
        (tmp_path / "hoopx_cli" / f"{name}.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    command = [HOOPX, "connect", "prod-db", "--background"]
    subprocess.run(command, env=stage.environment(), cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("planted", ["link", "file", "open"])
def test_a_run_folder_that_was_planted_is_refused(short: Path, planted: str) -> None:
    home, elsewhere = short / "home", short / "elsewhere"
    home.mkdir(mode=0o700)
    elsewhere.mkdir(mode=0o700)
    match planted:
        case "link":
            (home / "run").symlink_to(elsewhere)
        case "file":
            (home / "run").touch(mode=0o600)
        case _:
            (home / "run").mkdir()
            (home / "run").chmod(0o755)
    with pytest.raises(BadInput):
        rundir.folder_of(home)
    assert not list(elsewhere.iterdir())


def test_a_lock_that_was_planted_as_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = rundir.folder_of(tmp_path / "home")
    (folder / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError), rundir.locked(folder):  # noqa: PT011 - ELOOP, under whatever name
        pass
    assert not (tmp_path / "victim").exists()


def test_a_place_too_deep_for_a_socket_has_one_in_a_folder_of_the_users(tmp_path: Path) -> None:
    folder = rundir.folder_of(tmp_path / ("d" * 100))
    assert len(os.fsencode(folder)) < 80
    assert folder.stat().st_uid == os.geteuid()
    assert not folder.stat().st_mode & 0o077


def test_what_listens_there_and_makes_no_sense_is_said(tmp_path: Path) -> None:
    """A process of ours that is none of hoopx's: it is neither believed nor removed."""
    folder = rundir.folder_of(tmp_path / "home")
    path = backgrounds.path_of(folder, "https://x:443", "prod-db")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=_answer_nonsense, args=(listening,), daemon=True).start()
        with pytest.raises(BadInput, match="does not answer"):
            backgrounds.one_of(tmp_path / "home", "https://x:443", "prod-db")
        with pytest.raises(BadInput, match="open in the background already"):
            backgrounds.Claim(tmp_path / "home", "https://x:443", "prod-db")
    assert path.exists()


@pytest.mark.skipif(others.second_user() is None, reason=others.WHY_NOT)
def test_another_user_of_the_machine_learns_nothing(stage: Stage) -> None:
    stage.run("connect", "prod-db", "--background")
    other = others.second_user()
    assert other is not None
    [path] = _run(stage).glob("bg-*")
    script = """
        import os, socket, sys
        try:
            socket.socket(socket.AF_UNIX).connect(sys.argv[1])
            print("in")
        except OSError as error:
            print(type(error).__name__)
        try:
            print(os.listdir(os.path.dirname(sys.argv[1])))
        except OSError as error:
            print(type(error).__name__)
    """
    assert other.tries(textwrap.dedent(script), str(path)) == "PermissionError\nPermissionError"


def _answer_nonsense(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"\xff nonsense")


def _is_dead(pid: int) -> bool:
    """Its parent may be nobody who buries it."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True

"""The demo is a promise: it plays to its end, shows what it says, and leaves nothing behind."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from hoopx_cli.demo import children
from tests.peers import clients
from tests.peers.processes import bound_to_us, eventually

SHOWN = (
    r"ann \$ hoopx login",
    r"user:\s+ann",
    r"mallory \$ HOOPX_TOKEN=",
    r"this token is not accepted",
    r"payroll-db\s+postgres\s+shop\s+needs approval",
    r"Ada Quill\s+\| \*{5}\s+\| \*{5}",
    r"rule `no-ddl-in-prod` forbids this statement",
    r"rule `no-unbounded-write` forbids this statement",
    r"it is decided by somebody else",
    r"request r_\w+ is approved",
    r"rule `agents-analytics-only` forbids",
    r"claude on behalf of ann",
    r"recording: +whole and unchanged",
    r"log: +leaf \d+ of \d+",
    r"its hash does not follow",
    r"\(0 rows\)",
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home and a temporary directory of its own, so that what it leaves can be seen."""
    return clients.plain_environment() | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


def test_the_demo_shows_it_all_and_leaves_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    outcome = clients.run([children.HOOPX, "demo"], environ)
    assert outcome.code == 0, outcome.out + outcome.err
    for shown in SHOWN:
        assert re.search(shown, outcome.out), f"{shown}\n{outcome.out}"
    assert "ada.quill@example.com" not in outcome.out
    assert "\x1b" not in outcome.out, "a log has no colours"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_demo_that_is_interrupted_leaves_nothing(
    environ: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path.with_suffix(".log")
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [*bound_to_us(), str(children.HOOPX), "demo"], env=environ, stdout=out, stderr=out, start_new_session=True
        )
    eventually(lambda: re.search(r"1\. Log in", log.read_text()), "the demo has begun")
    demo.send_signal(number)
    assert demo.wait(60) == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in log.read_text()


def test_a_demo_that_is_kept_says_how_to_become_its_people(environ: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path.with_suffix(".log")
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [*bound_to_us(), str(children.HOOPX), "demo", "--keep"],
            env=environ,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        eventually(lambda: "hoopx.yaml" in log.read_text().partition("It stays up")[2], "it says how to go on")
        ann, dora = re.findall(r"^   (\. \S+)$", log.read_text(), re.MULTILINE)
        sold = _typed(f"{ann}; hoopx exec prod-db -- psql --no-psqlrc -c 'SELECT item FROM orders'", environ)
        assert "kettle" in sold
        assert re.search(r"user:\s+dora", _typed(f"{dora}; hoopx whoami", environ))
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0, log.read_text()
    assert "Everything has been stopped and removed." in log.read_text()
    assert list(tmp_path.iterdir()) == []


def _typed(line: str, environ: dict[str, str]) -> str:
    """What a shell says that somebody types this into."""
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_demo_that_is_killed_leaves_no_process(environ: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path.with_suffix(".log")
    with log.open("wb") as out:
        demo = subprocess.Popen([str(children.HOOPX), "demo"], env=environ, stdout=out, stderr=out)
    eventually(lambda: re.search(r"1\. Log in", log.read_text()), "the demo has begun")
    started = _children(demo.pid)
    [place] = {found for line in started.values() for found in re.findall(r"/tmp/hpx\w+", line)}
    demo.kill()
    demo.wait()
    eventually(lambda: not any(map(_is_there, started)), "everything that the demo started is gone")
    shutil.rmtree(place)
    assert "Traceback" not in log.read_text()


def _children(parent: int) -> dict[int, str]:
    """The processes that `parent` has started, with their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def _is_there(pid: int) -> bool:
    """Zombies, which wait to be collected by whoever adopted them, are not."""
    with suppress(OSError):
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False

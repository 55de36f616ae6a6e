"""`hoopx config psql`: its block in a person's file, in and out again, and a password that goes with its session."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_cli import pg_service, sockets
from hoopx_cli.access import Access
from hoopx_cli.marked_block import MarkedBlock
from hoopx_cli.pg_service import Service
from hoopx_cli.rundir import folder_of
from hoopx_cli.settings import Settings
from tests.unit.cli_stage import stage_in

BLOCK = MarkedBlock("psql", "no hint")
SERVICES = [Service("prod-db", "app"), Service("stage", "my app")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("https://broker.example.com:443", None, tmp_path / "hoopx")


@pytest.mark.parametrize(
    "own", [None, "", "[mine]\nhost=x\n", "[mine]\nhost=x", "# crlf\r\n[mine]\r\nhost=x\r\n", "\n\n", "[mine]\nhost=é"]
)
def test_what_goes_in_comes_out_and_nothing_else(settings: Settings, tmp_path: Path, own: str | None) -> None:
    path = tmp_path / "pg_service.conf"
    if own is not None:
        path.write_bytes(own.encode())
        path.chmod(0o640)
    change = pg_service.planned(settings, path, SERVICES)
    pg_service.write(settings, change, SERVICES)
    once = path.read_bytes()
    assert (own or "").encode() in once
    assert not pg_service.planned(settings, path, SERVICES).is_needed, "once more is the same"
    pg_service.write(settings, pg_service.planned(settings, path, SERVICES[:1]), SERVICES[:1])
    assert b"[stage]" not in path.read_bytes()
    pg_service.undo(settings.home, pg_service.undoing(path))
    if own is None:
        assert not path.exists()
    else:
        assert path.read_bytes() == own.encode()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert not (settings.home / "services.json").exists()
    assert not pg_service.undoing(path).is_needed


def test_what_was_added_since_stays(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    path.write_text("[mine]\nhost=x")
    pg_service.write(settings, pg_service.planned(settings, path, SERVICES), SERVICES)
    path.write_text(path.read_text() + "[later]\nhost=y\n")
    pg_service.undo(settings.home, pg_service.undoing(path))
    assert path.read_text() == "[mine]\nhost=x\n[later]\nhost=y\n"


def test_a_file_in_doubt_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    for text in ("# hoopx:begin psql\n", "# hoopx:end psql\n# hoopx:begin psql\n", "[prod-db]\nhost=x\n"):
        path.write_text(text)
        with pytest.raises(BadInput):
            pg_service.planned(settings, path, SERVICES)
        assert path.read_text() == text
    path.unlink()
    foreign = tmp_path / "foreign"
    if os.geteuid():
        foreign.symlink_to("/etc/hostname")
    else:
        foreign.touch()
        os.chown(foreign, 61_234, -1)
    with pytest.raises(BadInput, match="not a file of yours"):
        pg_service.planned(settings, foreign, SERVICES)


@pytest.mark.parametrize("name", ["a]\n[b", "x\nhost=evil", ""])
def test_a_name_cannot_write_lines_of_its_own(settings: Settings, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        pg_service.planned(settings, tmp_path / "f", [Service("prod-db", name)])
    with pytest.raises(BadInput):
        pg_service.planned(settings, tmp_path / "f", [Service(name, "app")])


def test_the_password_is_there_as_long_as_its_session(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "pg_service.conf"
    pg_service.write(settings, pg_service.planned(settings, path, SERVICES), SERVICES)
    assert "s3cret" not in path.read_text()
    port = sockets.usual_port(settings.home, settings.broker, "stage")
    access = Access("stage", "s_1", "my app", "127.0.0.1", port, Secret("s3cret"), 0)
    with pg_service.password_kept(settings, access):
        [kept] = folder_of(settings.home).glob("*.pgpass")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert kept.read_text() == f"127.0.0.1:{port}:my app:hoopx:s3cret\n"
        assert f"passfile={kept}" in path.read_text()
        other = Access("stage", "s_2", "my app", "127.0.0.1", port + 1, Secret("another"), 0)
        with pg_service.password_kept(settings, other):
            assert "another" not in kept.read_text(), "it listens elsewhere"
        assert kept.exists()
    assert not kept.exists()
    unasked = Access("other", "s_3", "app", "127.0.0.1", 1, Secret("x"), 0)
    with pg_service.password_kept(settings, unasked):
        assert not list(folder_of(settings.home).glob("*.pgpass"))


def test_what_a_killed_one_has_left_is_removed_by_the_next_command(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And is of no use before: nobody listens there, and who listens next has another password."""
    with stage_in(tmp_path_factory.mktemp("s")) as stage:  # a path that is short enough for sockets
        settings = Settings(stage.double.url, None, stage.home / "hoopx")
        service = [Service("prod-db", "app")]
        pg_service.write(settings, pg_service.planned(settings, stage.home / "services", service), service)
        lines = []
        for command in (["status"], ["exec", "other", "--", "true"]):
            with stage.begun("connect", "prod-db", "--print", "psql") as process:
                assert process.stdout is not None
                assert process.stdout.readline()
                [left] = folder_of(settings.home).glob("*.pgpass")
                lines.append(left.read_text())
                assert stage.run(*command).returncode == 0
                assert left.exists(), "a session that lives keeps its own"
                process.kill()
                process.wait()
            assert left.read_text() == lines[-1]
            done = stage.run(*command)
            assert (done.returncode, left.exists()) == (0, False), done.stderr
    assert lines[0] != lines[1]

"""Local sockets are their owner's alone, and leave nothing behind."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import sockets

BROKER = "https://broker.example:443"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def test_a_socket_file_is_private_from_its_first_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    listen = socket.socket.listen

    def looked_at(made: socket.socket, backlog: int) -> None:
        modes.append(stat.S_IMODE((folder / "db").stat().st_mode))
        listen(made, backlog)

    monkeypatch.setattr(socket.socket, "listen", looked_at)
    before = os.umask(0)
    try:
        with sockets.on_file(folder / "db"):
            pass
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_the_umask_is_as_before(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        with sockets.on_file(folder / "db"):
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_socket_and_its_alias_are_gone_at_the_end(folder: Path) -> None:
    with sockets.on_file(folder / "db") as made:
        assert made.number == 5432
        assert _names(folder) == [".s.PGSQL.5432", "db"]
        assert (folder / ".s.PGSQL.5432").readlink() == Path("db")
    assert _names(folder) == []


def test_two_sockets_in_a_folder_have_two_aliases(folder: Path) -> None:
    with sockets.on_file(folder / "one") as one, sockets.on_file(folder / "two") as two:
        assert (one.number, two.number) == (5432, 5433)


def test_a_socket_with_libpqs_own_name_needs_no_alias(folder: Path) -> None:
    with sockets.on_file(folder / ".s.PGSQL.6000") as made:
        assert made.number == 6000
        assert _names(folder) == [".s.PGSQL.6000"]


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "db"))
    left.close()
    with sockets.on_file(folder / "db") as made:
        assert made.path.is_socket()


def test_a_dangling_alias_of_a_killed_hoopx_is_replaced(folder: Path) -> None:
    (folder / ".s.PGSQL.5432").symlink_to("gone")
    with sockets.on_file(folder / "db") as made:
        assert made.number == 5432


def test_a_socket_in_use_is_left_alone(folder: Path) -> None:
    with sockets.on_file(folder / "db"):
        with pytest.raises(BadInput, match="in use"), sockets.on_file(folder / "db"):
            pass
        assert (folder / "db").is_socket()


def test_files_links_and_folders_are_never_replaced(folder: Path) -> None:
    (folder / "file").write_text("precious")
    (folder / "link").symlink_to("file")
    (folder / "folder").mkdir()
    for name in ("file", "link", "folder"):
        with pytest.raises(BadInput, match="not a socket"), sockets.on_file(folder / name):
            pass
    assert (folder / "file").read_text() == "precious"
    assert (folder / "link").is_symlink()


def test_what_took_the_sockets_place_meanwhile_is_left_alone(folder: Path) -> None:
    with sockets.on_file(folder / "db"):
        (folder / "db").unlink()
        (folder / "db").write_text("somebody else's")
    assert (folder / "db").read_text() == "somebody else's"


def test_a_path_too_long_for_the_kernel_is_said(folder: Path) -> None:
    with pytest.raises(BadInput, match="longer than"), sockets.on_file(folder / ("x" * 120)):
        pass


def test_a_folder_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(BadInput, match="no such file"), sockets.on_file(folder / "nowhere" / "db"):
        pass


def test_the_kernel_tells_who_connects() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert sockets.peer_uid(near) == os.geteuid()


def test_a_target_gets_its_port_again(folder: Path) -> None:
    with sockets.on_usual_port(folder, BROKER, "prod-db", print) as first:
        port = first.getsockname()[1]
    with sockets.on_usual_port(folder, BROKER, "prod-db", print) as again:
        assert again.getsockname() == ("127.0.0.1", port)


def test_another_target_gets_another_port(folder: Path) -> None:
    with (
        sockets.on_usual_port(folder, BROKER, "one", print) as one,
        sockets.on_usual_port(folder, BROKER, "two", print) as two,
    ):
        assert one.getsockname() != two.getsockname()


def test_a_usual_port_that_somebody_took_is_told(folder: Path) -> None:
    said: list[str] = []
    with sockets.on_usual_port(folder, BROKER, "prod-db", said.append) as first:
        old = first.getsockname()[1]
        assert said == []
        with sockets.on_usual_port(folder, BROKER, "prod-db", said.append) as second:
            new = second.getsockname()[1]
    (warning,) = said
    assert f"port {old}, where `prod-db` was before: it is on {new} now" in warning
    with sockets.on_usual_port(folder, BROKER, "prod-db", said.append) as again:
        assert (again.getsockname()[1], len(said)) == (new, 1)


def test_a_folder_that_everybody_writes_to_holds_no_socket_unless_it_is_sticky(folder: Path) -> None:
    inside = folder / "ours"
    inside.mkdir()
    folder.chmod(0o777)
    for place in (folder, inside):
        with pytest.raises(BadInput, match="other users could replace"), sockets.on_file(place / "db"):
            pass
        assert not (place / "db").exists()
    folder.chmod(0o1777)
    for place in (folder, inside):
        with sockets.on_file(place / "db"):
            pass


def test_a_folder_that_another_group_writes_to_holds_no_socket(folder: Path) -> None:
    foreign = next((group for group in os.getgroups() if group not in (0, os.getegid())), None)
    if foreign is None and os.geteuid() != 0:
        pytest.skip("this user is in one group only")
    os.chown(folder, -1, foreign if foreign is not None else 12_345)
    folder.chmod(0o770)
    with pytest.raises(BadInput, match="other users could replace"), sockets.on_file(folder / "db"):
        pass


def test_a_usual_port_that_is_taken_is_done_without(folder: Path) -> None:
    with (
        sockets.on_usual_port(folder, BROKER, "prod-db", print) as first,
        sockets.on_usual_port(folder, BROKER, "prod-db", print) as second,
    ):
        assert first.getsockname() != second.getsockname()


@pytest.mark.parametrize("kept", [b"", b"nonsense", b"[1]", b'{"https://broker.example:443 prod-db": 99999999}'])
def test_a_broken_memory_of_ports_costs_only_the_memory(folder: Path, kept: bytes) -> None:
    (folder / "ports.json").write_bytes(kept)
    with sockets.on_usual_port(folder, BROKER, "prod-db", print) as made:
        assert made.getsockname()[1] > 0


def test_a_port_that_is_taken_is_said_with_the_remedy() -> None:
    with sockets.on_port(_free_port()) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} .* is taken") as caught:
            sockets.on_port(port)
        assert "--port" in caught.value.hint


@pytest.mark.parametrize("text", ["0", "-1", "65536", "five", "5 432", "²", ""])
def test_what_is_no_port_is_said(text: str) -> None:
    with pytest.raises(BadInput, match="is not a port"):
        sockets.port_of(text)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())

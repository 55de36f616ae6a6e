"""What `hoopx doctor` sees of this machine: files, ports, variables, shells and the times of a token."""

from __future__ import annotations

import json
import socket
import tempfile
from pathlib import Path

import pytest

from hoopx_cli.completion import FILES, Shell, folder
from hoopx_cli.doctor import clock, places, shell, surroundings
from hoopx_cli.doctor.findings import State
from hoopx_cli.roster import Account, Accounts
from hoopx_cli.settings import Remembered, Settings
from tests.peers.second_user import WHY_NOT, second_user


def test_a_home_that_others_can_reach(tmp_path: Path) -> None:
    place = tmp_path / "hoopx"
    place.mkdir(mode=0o755)
    (place / "settings.json").write_text("{}")
    (place / "settings.json").chmod(0o644)
    assert "others can read `settings.json`" in places.home(place).found
    place.chmod(0o700)
    assert places.home(place).state is State.OK
    place.chmod(0o777)
    assert "others can write to" in places.home(place).found
    place.chmod(0o700)
    (place / "logins.json").write_text("{}")
    (place / "logins.json").chmod(0o644)
    refused = places.home(place)
    assert (refused.code, "others can read or own" in refused.found) == (2, True)
    assert places.home(tmp_path / "hoopx" / "logins.json").code == 2


def test_ports_that_are_taken_and_free(tmp_path: Path) -> None:
    broker = "https://b:443"
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as soon_free:
        port, free = taken.getsockname()[1], soon_free.getsockname()[1]
        soon_free.close()
        (tmp_path / "ports.json").write_text(json.dumps({f"{broker} prod-db": port, "https://other:443 x": port}))
        (found,) = places.ports(tmp_path, broker)
        assert found.facts == {"target": "prod-db", "port": port}
        (tmp_path / "ports.json").write_text(json.dumps({f"{broker} prod-db": free, f"{broker} odd": 99_999}))
        odd, *_ = places.ports(tmp_path, broker)
        assert odd.facts["target"] == "odd"
        (tmp_path / "ports.json").write_text("broken")
        (fine,) = places.ports(tmp_path, broker)
        assert fine.state is State.OK


def test_another_users_program_at_a_remembered_port_is_named_as_such(tmp_path: Path) -> None:
    other = second_user()
    if other is None:
        pytest.skip(WHY_NOT)
    listens = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); input()"
    with other.start(listens) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        (tmp_path / "ports.json").write_text(json.dumps({"https://b:443 prod-db": port}))
        (found,) = places.ports(tmp_path, "https://b:443")
        process.communicate("")
    assert found.state is State.WARN
    assert found.found == f"a program of another user listens on port {port}, where `prod-db` was before"
    assert "give that port no password" in found.mend


def test_a_socket_file_is_tried_and_removed() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # pytest's own are too long for a socket's path
        place = Path(short)
        assert places.socket_file(place).state is State.OK
        assert list(place.iterdir()) == []
        place.chmod(0o722)
        assert places.socket_file(place).state is State.WARN


LOGIN = Accounts("ann", {"ann": Account("https://i", 4e9, renews=True, place="file")})
REMEMBERED = Remembered("https://b:443", "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"HOOPX_BROKER": "https://other"}, "HOOPX_BROKER wins over the broker of the last login"),
        ({"HOOPX_BROKER": "b"}, ""),
        ({"HOOPX_TOKEN": "t"}, "HOOPX_TOKEN wins over the login"),
        ({"HOOPX_BROKR": "x"}, "HOOPX_BROKR means nothing to hoopx"),
        ({"HOOPX_RENEW": "1"}, ""),
        ({"HOOPX_CA": "sha256:" + "1" * 64}, "HOOPX_CA wins over how this broker was trusted"),
        ({"HOOPX_CA": "SHA256:" + ":".join(["00"] * 32)}, ""),
        ({"HOOPX_ACCOUNT": "bob"}, "HOOPX_ACCOUNT names nobody"),
        ({"HOOPX_CLIENT_ID": "x"}, "without a key or a secret"),
        ({"HOOPX_CONFIG": "/nonexistent/hoopx.yaml"}, "a file that is not there"),
        ({"SSLKEYLOGFILE": "/tmp/keys"}, "keys of every connection"),
    ],
)
def test_variables_that_contradict_what_is_remembered(environ: dict[str, str], told: str) -> None:
    broker = "https://other:443" if environ.get("HOOPX_BROKER") == "https://other" else "https://b:443"
    settings = Settings(broker, environ.get("HOOPX_CA"), Path("/"), account=environ.get("HOOPX_ACCOUNT"))
    known = LOGIN if broker == "https://b:443" else Accounts()
    found = list(surroundings.environment(environ, settings, REMEMBERED, known))
    text = "\n".join(finding.found for finding in found if finding.state is State.WARN)
    assert told in text
    assert bool(told) == bool(text)


@pytest.mark.parametrize(
    ("name", "path", "which"),
    [
        ("bash", ".local/share/bash-completion/completions/hoopx", Shell.BASH),
        ("zsh", ".zfunc/_hoopx", Shell.ZSH),
        ("fish", ".config/fish/completions/hoopx.fish", Shell.FISH),
    ],
)
def test_completion_missing_stale_and_fresh(tmp_path: Path, name: str, path: str, which: Shell) -> None:
    environ = {"HOME": str(tmp_path), "SHELL": f"/bin/{name}"}
    assert shell.completion(environ, tmp_path).state is State.WARN
    script = tmp_path / path
    script.parent.mkdir(parents=True)
    script.write_text("old")
    assert "of another version" in shell.completion(environ, tmp_path).found
    script.write_bytes((folder() / FILES[which]).read_bytes())
    assert shell.completion(environ, tmp_path).state is State.OK


def test_completion_made_at_each_start_counts(tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text('eval "$(hoopx completion bash)"\n')
    assert shell.completion({"HOME": str(tmp_path), "SHELL": "/bin/bash"}, tmp_path).state is State.OK


def test_the_times_of_a_token() -> None:
    told = {name: clock.of_token({"iat": 100.0, "exp": 200.0}, now) for name, now in (("held", 150), ("over", 200))}
    assert [(each.state, each.code) for each in told.values() if each] == [(State.OK, 0), (State.FAIL, 11)]
    early = clock.of_token({"iat": 100.0, "exp": 200.0}, 30)
    assert early is not None
    assert "issued 70 s in the future" in early.found
    assert clock.of_token({}, 0) is None

"""Where logins are kept: never in the open, never lost without a word."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.keyring import Login, Logins

BROKER, OTHER = "https://127.0.0.1:8443", "https://broker.example.com:443"
LOGIN = Login(
    "https://login.example.com",
    "hoopx-cli",
    "hoopx",
    Secret("b" * 900),
    1_800_000_000.0,
    Secret("refresh-1"),
    ProofKey.create().keep(),
    "ann",
)


class Shelf(KeyringBackend):
    """A double of an operating system's keyring: `shut` as when nobody unlocks it, `short` as on Windows."""

    priority = 5.0

    def __init__(self, shut: bool = False, short: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.shut, self.short = shut, short

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        if self.short and len(password) > 1280:
            raise OSError("the stub received bad data")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._open()
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")

    def _open(self) -> None:
        if self.shut:
            raise RuntimeError("b" * 900 + " is locked")


def nothing() -> KeyringBackend:
    """What `keyring` chooses where the machine has none."""
    made: KeyringBackend = keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]
    return made


@pytest.fixture(autouse=True)
def own_keyring() -> Iterator[None]:
    """Whatever a test chooses, the machine's own keyring is neither read nor written."""
    before = keyring.get_keyring()
    keyring.set_keyring(nothing())
    yield
    keyring.set_keyring(before)


class Warned(list[str]):
    """What the person was told."""


@pytest.fixture
def warned() -> Warned:
    return Warned()


@pytest.fixture
def logins(tmp_path: Path, warned: Warned) -> Logins:
    return Logins(tmp_path / "home", warned.append)


def same(found: Login | None) -> bool:
    """Secrets do not compare: look inside."""
    return (
        found is not None
        and found.bearer.reveal() == LOGIN.bearer.reveal()
        and found.refresh is not None
        and found.refresh.reveal() == "refresh-1"
        and (found.issuer, found.expires_at) == (LOGIN.issuer, LOGIN.expires_at)
    )


def test_a_keyring_of_the_system_keeps_logins_by_broker(logins: Logins, warned: Warned, tmp_path: Path) -> None:
    shelf = Shelf()
    keyring.set_keyring(shelf)
    logins.put(BROKER, LOGIN)
    assert same(logins.get(BROKER))
    assert logins.get(OTHER) is None
    assert list(shelf.kept) == [("hoopx", f"ann at {BROKER} {tmp_path / 'home'}")]
    assert warned == []
    assert not (tmp_path / "home" / "logins.json").exists()


def test_two_homes_of_one_user_are_two_people(tmp_path: Path, warned: Warned) -> None:
    keyring.set_keyring(Shelf())
    ann, dora = (Logins(tmp_path / name, warned.append) for name in ("ann", "dora"))
    ann.put(BROKER, LOGIN)
    assert dora.get(BROKER) is None
    dora.forget(BROKER, "ann")
    assert same(ann.get(BROKER))


def test_without_a_keyring_a_file_of_ones_own_keeps_them_and_one_is_told_once(
    logins: Logins, warned: Warned, tmp_path: Path
) -> None:
    old = os.umask(0)
    try:
        logins.put(BROKER, LOGIN)
    finally:
        os.umask(old)
    path = tmp_path / "home" / "logins.json"
    assert same(logins.get(BROKER))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    logins.put(BROKER, LOGIN)
    assert len(warned) == 1
    assert str(path) in warned[0]
    assert "refresh-1" not in warned[0]


def alt() -> KeyringBackend:
    """As `keyrings.alt` has them: written to the home directory in the clear, by a class that looks like a keyring."""
    made = type("PlaintextKeyring", (Shelf,), {"__module__": "keyrings.alt.file"})()
    assert isinstance(made, KeyringBackend)
    return made


def chain(*backends: KeyringBackend) -> KeyringBackend:
    made = type("Chain", (keyring.backends.chainer.ChainerBackend,), {"backends": list(backends), "viable": True})()
    assert isinstance(made, KeyringBackend)
    return made


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(nothing, id="none"),
        pytest.param(keyring.backends.null.Keyring, id="one that forgets"),
        pytest.param(alt, id="a file in disguise"),
        pytest.param(lambda: chain(alt(), nothing()), id="a chain of such"),
        pytest.param(lambda: Shelf(shut=True), id="one that stays shut"),
    ],
)
def test_a_keyring_that_guards_nothing_is_passed_over(logins: Logins, warned: Warned, backend: Any) -> None:
    keyring.set_keyring(backend())
    logins.put(BROKER, LOGIN)
    assert same(logins.get(BROKER))
    assert len(warned) == 1


def test_the_first_true_keyring_of_a_chain_is_used(logins: Logins, warned: Warned) -> None:
    shelf, disguised = Shelf(), alt()
    keyring.set_keyring(chain(disguised, shelf))
    logins.put(BROKER, LOGIN)
    assert warned == []
    assert len(shelf.kept) == 1
    assert isinstance(disguised, Shelf)
    assert disguised.kept == {}


def test_a_login_too_long_for_the_keyring_goes_to_the_file(logins: Logins, warned: Warned) -> None:
    keyring.set_keyring(Shelf(short=True))
    long = Login(LOGIN.issuer, "hoopx-cli", "hoopx", Secret("b" * 2000), 1.0)
    logins.put(BROKER, long)
    found = logins.get(BROKER)
    assert found is not None
    assert found.bearer.reveal() == "b" * 2000
    assert len(warned) == 1


def test_a_keyring_that_appears_takes_the_login_out_of_the_file(logins: Logins, tmp_path: Path) -> None:
    logins.put(BROKER, LOGIN)
    keyring.set_keyring(Shelf())
    logins.put(BROKER, LOGIN)
    assert b"refresh-1" not in (tmp_path / "home" / "logins.json").read_bytes()
    assert same(logins.get(BROKER))


@pytest.mark.parametrize("has_keyring", [True, False])
def test_a_forgotten_login_is_gone_and_the_others_stay(logins: Logins, has_keyring: bool) -> None:
    if has_keyring:
        keyring.set_keyring(Shelf())
    logins.put(BROKER, LOGIN)
    logins.put(OTHER, LOGIN)
    logins.forget(BROKER, "ann")
    logins.forget(BROKER, "ann")
    assert logins.get(BROKER) is None
    assert same(logins.get(OTHER))


def test_a_shut_keyring_is_told_of_without_its_words(logins: Logins) -> None:
    keyring.set_keyring(Shelf(shut=True))
    with pytest.raises(Unauthenticated, match="does not answer: RuntimeError") as told:
        logins.get(BROKER)
    assert "bbb" not in str(told.value)


def test_a_login_in_the_file_is_forgotten_while_the_keyring_stays_shut(logins: Logins, tmp_path: Path) -> None:
    keyring.set_keyring(Shelf(shut=True))
    logins.put(BROKER, LOGIN)
    logins.forget(BROKER, "ann")
    assert logins.get(BROKER, "ann") is None
    assert b"refresh-1" not in (tmp_path / "home" / "logins.json").read_bytes()


def test_a_login_in_a_keyring_that_is_shut_is_not_said_to_be_forgotten(logins: Logins) -> None:
    shelf = Shelf()
    keyring.set_keyring(shelf)
    logins.put(BROKER, LOGIN)
    shelf.shut = True
    with pytest.raises(Unauthenticated, match="does not answer"):
        logins.forget(BROKER, "ann")
    shelf.shut = False
    assert same(logins.get(BROKER))


def test_an_entry_that_is_none_of_ours_is_as_good_as_none(logins: Logins, tmp_path: Path) -> None:
    shelf = Shelf()
    keyring.set_keyring(shelf)
    shelf.kept["hoopx", f"{BROKER} {tmp_path / 'home'}"] = "someone else's"
    assert logins.get(BROKER) is None
    logins.put(BROKER, LOGIN)
    assert same(logins.get(BROKER))


# --- attacks on the file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_read_is_not_used(logins: Logins, tmp_path: Path, mode: int) -> None:
    logins.put(BROKER, LOGIN)
    (tmp_path / "home" / "logins.json").chmod(mode)
    with pytest.raises(BadInput, match="others can read"):
        logins.get(BROKER)


def test_a_link_in_place_of_the_file_is_not_followed(logins: Logins, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    planted = tmp_path / "planted.json"
    planted.write_bytes(b"{}")
    planted.chmod(0o600)
    (tmp_path / "home" / "logins.json").symlink_to(planted)
    with pytest.raises(BadInput, match="cannot be read"):
        logins.get(BROKER)
    assert planted.read_bytes() == b"{}"


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"a": 5}', b'{"a": {"issuer": 5}}', b'{"a":' * 3000])
def test_a_broken_file_names_itself_and_the_remedy(logins: Logins, tmp_path: Path, content: bytes) -> None:
    logins.put(BROKER, LOGIN)
    path = tmp_path / "home" / "logins.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="does not hold logins") as told:
        logins.get(BROKER)
    assert "remove it" in told.value.hint


def test_a_login_shows_no_secret() -> None:
    assert "bbb" not in repr(LOGIN)
    assert "refresh-1" not in f"{LOGIN!r} {LOGIN}"


def _count(home: Path, times: int) -> None:
    logins = Logins(home, lambda _: None)
    for _ in range(times):
        with logins.held():
            number = int((home / "number").read_text())
            (home / "number").write_text(str(number + 1))


def test_only_one_command_at_a_time_renews_a_login(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "number").write_text("0")
    context = multiprocessing.get_context("spawn")
    commands = [context.Process(target=_count, args=(home, 50)) for _ in range(3)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert (home / "number").read_text() == "150"

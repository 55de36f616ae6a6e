"""Flag, then environment, then what was remembered; and what is written is private and whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import settings
from hoopx_cli.settings import DEFAULT_BROKER, Flags, Remembered


def home(folder: Path, **environ: str) -> dict[str, str]:
    return {"HOOPX_HOME": str(folder), **environ}


def test_without_anything_it_is_the_broker_of_this_machine(tmp_path: Path) -> None:
    assert settings.read(Flags(), home(tmp_path)).broker == DEFAULT_BROKER


def test_a_flag_wins_over_the_environment_and_that_over_memory(tmp_path: Path) -> None:
    settings.remember(tmp_path, Remembered("https://kept:443"))
    environ = home(tmp_path, HOOPX_BROKER="https://env")
    assert settings.read(Flags(broker="https://flag"), environ).broker == "https://flag:443"
    assert settings.read(Flags(), environ).broker == "https://env:443"
    assert settings.read(Flags(), home(tmp_path)).broker == "https://kept:443"


def test_trust_remembered_for_one_broker_is_not_given_to_another(tmp_path: Path) -> None:
    settings.remember(tmp_path, Remembered("https://mine:443", "sha256:" + "ab" * 32))
    assert settings.read(Flags(), home(tmp_path)).ca is not None
    assert settings.read(Flags(broker="https://other"), home(tmp_path)).ca is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://Broker.Example", "https://broker.example:443"),
        ("https://broker.example:8443/", "https://broker.example:8443"),
        ("broker.example:8443", "https://broker.example:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_broker_has_one_spelling(written: str, meant: str) -> None:
    assert settings.origin(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "http://broker.example",
        "ftp://broker.example",
        "https://",
        "https://user:pw@broker.example",
        "https://broker.example/path",
        "https://broker.example?q",
        "https://broker.example:0x50",
        "https://broker.example:99999",
        "https://broker..example",
        f"https://{'a' * 64}.example",
        "https://\udcff",
    ],
)
def test_what_is_no_brokers_address_is_refused(written: str) -> None:
    with pytest.raises(BadInput):
        settings.origin(written)


def test_an_empty_token_is_none(tmp_path: Path) -> None:
    assert settings.read(Flags(), home(tmp_path, HOOPX_TOKEN="")).token is None


def test_a_token_is_a_secret(tmp_path: Path) -> None:
    read = settings.read(Flags(), home(tmp_path, HOOPX_TOKEN="t0ken"))
    assert "t0ken" not in repr(read)


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    settings.remember(tmp_path / "deep" / "home", Remembered("https://kept:443"))
    for made in (tmp_path / "deep", tmp_path / "deep" / "home"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "home" / "settings.json").stat().st_mode) == 0o600


def test_a_folder_that_others_could_write_to_is_theirs_no_more(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    settings.write_private(tmp_path / "kept", b"ours")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.write_private(tmp_path / "kept", b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(BadInput, match="No space left"):
        settings.write_private(tmp_path / "kept", b"new")
    assert (tmp_path / "kept").read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"broker": 7}', b"\xff\xfe"])
def test_a_broken_memory_is_said_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        settings.read(Flags(), home(tmp_path))
    assert "remove it" in caught.value.hint

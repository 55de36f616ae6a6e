"""The evidence key is made once, for its owner alone, and never replaced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.notes import open_note


def test_a_key_is_created_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "evidence.key"
    first = EvidenceKey.load_or_create(path, "broker.test")
    again = EvidenceKey.load_or_create(path, "renamed.test")
    assert again.verifier == first.verifier
    assert again.name == "broker.test"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert open_note(again.sign("hello\n"), first.verifier) == "hello\n"


def test_two_keys_are_two_keys(tmp_path: Path) -> None:
    keys = [EvidenceKey.load_or_create(tmp_path / str(i), "broker.test") for i in range(2)]
    assert keys[0].verifier != keys[1].verifier


def test_brokers_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "evidence.key"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: EvidenceKey.load_or_create(path, "broker.test").verifier, range(32)))
    assert len(set(made)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["evidence.key"]


def test_a_key_shows_only_its_public_half(tmp_path: Path) -> None:
    path = tmp_path / "evidence.key"
    key = EvidenceKey.load_or_create(path, "broker.test")
    private = path.read_text().strip().split("+", 4)[4]
    assert repr(key) == f"<evidence key {key.verifier}>"
    assert private not in repr(key) + str(key) + f"{key}"


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evidence.key"
    EvidenceKey.load_or_create(path, "broker.test")
    path.chmod(0o640)
    with pytest.raises(BadInput, match="open to others") as refused:
        EvidenceKey.load_or_create(path, "broker.test")
    assert "chmod 600" in refused.value.hint


def test_a_directory_that_anyone_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(BadInput, match="anyone may write"):
        EvidenceKey.load_or_create(tmp_path / "evidence.key", "broker.test")


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "prefix", "bare", "binary", "id"])
def test_a_damaged_key_is_neither_used_nor_replaced_nor_shown(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "evidence.key"
    EvidenceKey.load_or_create(path, "broker.test")
    good = path.read_bytes()
    secret = good.strip().split(b"+", 4)[4].decode()
    bad = {
        "cut": good[:-10],
        "empty": b"",
        "flip": good[:-12] + bytes([good[-12] ^ 2]) + good[-11:],
        "prefix": good.replace(b"PRIVATE", b"SECRET"),
        "bare": good.removeprefix(b"PRIVATE+KEY+"),
        "binary": b"\xff" * 100,
        "id": good.replace(b"broker.test", b"broken.test"),
    }[damage]
    path.write_bytes(bad)
    with pytest.raises(BadInput, match="not an evidence key") as refused:
        EvidenceKey.load_or_create(path, "broker.test")
    assert path.read_bytes() == bad
    assert secret[:20] not in str(refused.value) + refused.value.hint
    assert refused.value.__cause__ is None


def test_a_key_file_that_is_a_directory_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be used"):
        EvidenceKey.load_or_create(tmp_path, "broker.test")


def test_a_name_that_a_note_cannot_carry_makes_no_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot name a key"):
        EvidenceKey.load_or_create(tmp_path / "evidence.key", "two words")
    assert not list(tmp_path.iterdir())

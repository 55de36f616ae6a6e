"""A key is replaced in steps; whatever step it is killed at, one whole key signs and the rotation can be finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hoopx_broker.recording.keyring import Keyring, open_keyring, rotate_key
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.notes import Verifier, open_note
from hoopx_broker.tlog.rotation import chain_of_keys

ORIGIN = "broker.test/hoopx/0123abcd"


def ring_in(directory: Path) -> Keyring:
    return open_keyring(directory, "broker.test")


def rotated(directory: Path, at: int = 100) -> Keyring:
    rotate_key(directory, ring_in(directory), ORIGIN, at)
    return ring_in(directory)


def test_a_new_key_follows_the_old_one_by_a_note_that_both_signed(tmp_path: Path) -> None:
    first = ring_in(tmp_path)
    second = rotated(tmp_path)
    third = rotated(tmp_path, 200)
    keys = [Verifier.parse(ring.key.verifier) for ring in (first, second, third)]
    assert len(set(keys)) == 3
    assert chain_of_keys(keys[0], third.notes, ORIGIN) == keys
    assert third.older == tuple(keys[:2])
    assert [each.at for each in third.rotations] == [100, 200]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "evidence.key",
        "rotation-0001.note",
        "rotation-0002.note",
    ]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    private = (tmp_path / "evidence.key").read_text().strip().split("+", 4)[4]
    assert not any(private in note for note in third.notes)


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


class Killing:
    """Counts what is done to the disk, and lets nothing more happen after the call of that number."""

    def __init__(self, at: int, patch: pytest.MonkeyPatch) -> None:
        self.left = at
        for name in ("open", "write", "fsync", "link", "unlink", "replace"):
            patch.setattr(os, name, self._after(getattr(os, name)))

    def _after(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def then(*arguments: Any, **named: Any) -> Any:
            if self.left <= 0:
                raise Killed
            done = work(*arguments, **named)
            self.left -= 1
            return done

        return then


def test_killed_after_any_step_one_key_signs_and_the_next_try_finishes(tmp_path: Path) -> None:
    steps = 0
    signed_by = []
    done = False
    while not done:
        steps += 1
        directory = tmp_path / f"{steps}"
        before = ring_in(directory)
        with pytest.MonkeyPatch.context() as patch:
            killing = Killing(steps, patch)
            try:
                rotate_key(directory, before, ORIGIN, 100)
                done = killing.left > 0
            except Killed:
                pass
        found = ring_in(directory)
        assert open_note(found.key.sign("hello\n"), found.key.verifier) == "hello\n"
        is_new = found.key.verifier != before.key.verifier
        signed_by.append(is_new)
        assert found.older == ((Verifier.parse(before.key.verifier),) if is_new else ())
        if not is_new:
            found = rotated(directory, 200)
            assert found.older == (Verifier.parse(before.key.verifier),)
        assert len(list(directory.glob("rotation-*"))) == 1
        assert not (directory / "evidence.key.next").exists()
    assert steps > 10
    assert signed_by == sorted(signed_by)  # once it is the new one, it stays the new one
    assert True in signed_by[:-1]


def test_a_shared_key_is_replaced_by_whoever_keeps_it(tmp_path: Path) -> None:
    shared = EvidenceKey.load_or_create(tmp_path / "vault" / "first", "brokers.test")
    ring = open_keyring(tmp_path / "keys", "broker.test", shared)
    assert ring.key.verifier == shared.verifier
    assert not (tmp_path / "keys" / "evidence.key").exists()
    to = tmp_path / "vault" / "second"
    for _ in range(2):  # the second time finishes nothing, and begins nothing
        fresh = rotate_key(tmp_path / "keys", ring, ORIGIN, 100, to=to)
    assert open_keyring(tmp_path / "keys", "broker.test", shared).older == ()
    second = EvidenceKey.load_or_create(to, "unused")
    assert second.verifier == fresh.verifier
    assert second.name == "brokers.test"
    assert open_keyring(tmp_path / "keys", "broker.test", second).older == (Verifier.parse(shared.verifier),)
    with pytest.raises(BadInput, match="new key is the old one"):
        rotate_key(tmp_path / "keys", ring, ORIGIN, 100, to=tmp_path / "vault" / "first")


@pytest.mark.parametrize("content", [b"", b"\xff\n\n", b"half of a note"])
def test_a_damaged_note_stops_the_start_and_is_named(tmp_path: Path, content: bytes) -> None:
    rotated(tmp_path)
    (tmp_path / "rotation-0001.note").write_bytes(content)
    with pytest.raises(BadInput, match=r"rotation-0001\.note` is not a rotation note"):
        ring_in(tmp_path)


def test_notes_of_keys_that_never_signed_here_count_for_nothing(tmp_path: Path) -> None:
    rotated(tmp_path / "there")
    own = ring_in(tmp_path / "here")
    (tmp_path / "here" / "rotation-0001.note").write_bytes((tmp_path / "there" / "rotation-0001.note").read_bytes())
    assert ring_in(tmp_path / "here").older == ()
    after = rotated(tmp_path / "here")
    assert after.older == (Verifier.parse(own.key.verifier),)

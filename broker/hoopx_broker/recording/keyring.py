"""The directory of keys: the evidence key that signs now, and the notes by which it came after those before it.

`evidence.key` is the private key, `rotation-0001.note` and so on are signed by an old key and its heir and name the
public halves of both. All are for their owner alone. While a rotation is under way, `evidence.key.next` is there too;
it gets its name when everything else is on the disk: whatever step a crash comes at, `evidence.key` is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.whole import create_whole, ensure_private_directory, sync_directory
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.rotation import MAX_ROTATIONS, Rotation, notes_to, open_rotation, rotate

CURRENT = "evidence.key"
NEXT = "evidence.key.next"
NOTES = "rotation-*.note"

_MAX_NOTE = 64 * 1024  # two keys, a name and two signatures


class Keyring(Struct, frozen=True):
    """`notes` lead to `key` from the first that signed, the oldest first. Where brokers share one, it `is_shared`."""

    key: EvidenceKey
    notes: tuple[str, ...] = ()
    is_shared: bool = False

    @property
    def rotations(self) -> tuple[Rotation, ...]:
        return tuple(map(open_rotation, self.notes))

    @property
    def older(self) -> tuple[Verifier, ...]:
        """What signed before, the oldest first."""
        return tuple(rotation.old for rotation in self.rotations)


def open_keyring(directory: Path, name: str, shared: EvidenceKey | None = None) -> Keyring:
    """What is in the directory; a new key called `name` where there is none. With a `shared` key, that one signs.

    Raises `BadInput`.
    """
    key = shared or EvidenceKey.load_or_create(directory / CURRENT, name)
    try:
        notes = notes_to(Verifier.parse(key.verifier), _notes_in(directory).values())
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"the rotation notes in `{directory}` cannot be used: {reason}", "check their owner") from error
    return Keyring(key, notes, shared is not None)


def rotate_key(
    directory: Path,
    ring: Keyring,
    origin: str,
    at: int,
    *,
    to: Path | None = None,
    generate: Callable[[], Ed25519PrivateKey] = Ed25519PrivateKey.generate,
) -> EvidenceKey:
    """Have a new key follow the one of `ring`, for the log `origin`: one that was begun before is finished.

    With a shared key, the new private key is only written to the file `to`: whoever keeps the shared one puts it there.
    Raises `BadInput`.
    """
    following = to or directory / NEXT
    try:
        ensure_private_directory(directory)
        fresh = EvidenceKey.load_or_create(following, ring.key.name, generate)
        _keep_note(directory, ring.key, fresh, origin, at)
        if to is None:
            following.replace(directory / CURRENT)
            sync_directory(directory)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(
            f"the key was not replaced: `{error.filename or directory}`: {reason}", "the one before still signs"
        ) from error
    return fresh


def _keep_note(directory: Path, old: EvidenceKey, new: EvidenceKey, origin: str, at: int) -> None:
    """On the disk before the old private key is gone: nobody else could ever sign it."""
    notes = _notes_in(directory)
    meant = (origin, Verifier.parse(old.verifier), Verifier.parse(new.verifier))
    if any((each.origin, each.old, each.new) == meant for each in map(open_rotation, notes.values())):
        return
    if meant[1] == meant[2]:
        raise BadInput("the new key is the old one", "name a file that is not there yet: --to FILE")
    number = max(notes, default=0) + 1
    content = rotate(origin, old.signer, new.signer, at).encode()
    os.close(create_whole(directory / f"rotation-{number:04}.note", content, through_power_cuts=True))


def _notes_in(directory: Path) -> dict[int, str]:
    """By their numbers. Raises `BadInput` where one was changed: without it, old recordings are not proved any more."""
    found: dict[int, str] = {}
    paths = sorted(directory.glob(NOTES))
    if len(paths) > MAX_ROTATIONS:
        raise BadInput(
            f"there are more than {MAX_ROTATIONS} rotation notes in `{directory}`", "look who put them there"
        )
    for path in paths:
        try:
            with path.open("rb") as file:
                note = file.read(_MAX_NOTE).decode()
            open_rotation(note)
            found[int(path.stem.removeprefix("rotation-"))] = note
        except (BadNote, ValueError) as error:
            why = error.message if isinstance(error, BadNote) else "it is no text, or its name has no number"
            raise BadInput(f"`{path}` is not a rotation note: {why}", "restore it: `log/keys/` has a copy") from None
    return found

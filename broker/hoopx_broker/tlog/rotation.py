"""Rotation notes: an old key and the new one say together that the new one signs the log from now on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Signer, Verifier, sign_by, signed_by, split_note

MAX_ROTATIONS = 1000  # a key a day for years

_FORM = re.compile(
    r"hoopx key rotation 1\nlog (?P<origin>[^\n]+)\nfrom (?P<old>[^\n]+)\nto (?P<new>[^\n]+)\n"
    r"at (?P<at>0|[1-9][0-9]{0,12})\n",
    re.ASCII,
)


class Rotation(Struct, frozen=True):
    """The log `origin` is signed by `new` instead of `old`, since `at` seconds after 1970."""

    origin: str
    old: Verifier
    new: Verifier
    at: int

    def text(self) -> str:
        return f"hoopx key rotation 1\nlog {self.origin}\nfrom {self.old}\nto {self.new}\nat {self.at}\n"


def rotate(origin: str, old: Signer, new: Signer, at: int) -> str:
    """The note, signed by both."""
    return sign_by(Rotation(origin, old.verifier, new.verifier, at).text(), [old, new])


def open_rotation(note: str) -> Rotation:
    """What both keys of the note signed. That says nothing yet about whose keys they are. Raises `BadNote`."""
    match = _FORM.fullmatch(split_note(note)[0])
    if match is None:
        raise BadNote("this is not a rotation note")
    try:
        old, new = Verifier.parse(match["old"]), Verifier.parse(match["new"])
    except BadInput as error:
        raise BadNote(f"the rotation note names a key that is none: {error.message}") from error
    rotation = Rotation(match["origin"], old, new, int(match["at"]))
    text, signers = signed_by(note, [old, new])
    if text != rotation.text() or set(signers) != {old, new} or old == new:
        raise BadNote("a rotation note is signed by the old key and by the new one, and they differ")
    return rotation


def notes_to(key: Verifier, notes: Iterable[str], origin: str | None = None) -> tuple[str, ...]:
    """Those of `notes` (of one log, where `origin` says which) by which `key` came to sign, the oldest first.

    The others are of keys that never signed: a rotation was begun and another one was made. Raises `BadNote`.
    """
    by_new: dict[Verifier, tuple[Verifier, str]] = {}
    for note in notes:
        rotation = open_rotation(note)
        if origin is None or rotation.origin == origin:
            by_new[rotation.new] = (rotation.old, note)
    found: list[str] = []
    while key in by_new:
        key, note = by_new.pop(key)
        found.append(note)
    return tuple(reversed(found))


def chain_of_keys(pinned: Verifier, notes: Sequence[str], origin: str) -> list[Verifier]:
    """The keys of the log `origin` from the oldest that `notes` tell of to the newest; `pinned` is one of them.

    Only the newest may sign a checkpoint: forward from `pinned`, each key was named by one already trusted. An older
    one counts for nothing but what the log itself proves. Raises `BadNote`.
    """
    if len(notes) > MAX_ROTATIONS:
        raise BadNote(f"there are more than {MAX_ROTATIONS} rotation notes")
    rotations = [open_rotation(note) for note in notes]
    keys = [rotations[0].old] if rotations else [pinned]
    for rotation in rotations:
        if rotation.origin != origin:
            raise BadNote(f"a rotation note is of the log `{rotation.origin}`, not of `{origin}`")
        if rotation.old != keys[-1]:
            raise BadNote("the rotation notes do not follow from one another")
        if rotation.new in keys:
            raise BadNote("the rotation notes go in a circle")
        keys.append(rotation.new)
    if pinned not in keys:
        raise BadNote(f"the key {pinned.key_id.hex()} of `{pinned.name}` is not among those that the log was signed by")
    return keys

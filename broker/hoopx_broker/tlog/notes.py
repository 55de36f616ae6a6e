"""Sign and open notes as the C2SP signed-note specification has them (c2sp.org/signed-note), Ed25519 only."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput, HoopxError

ED25519 = b"\x01"
_DASH = "— "
# The specification asks for at least 16 signatures, of up to 5 kB each; this is more than ten times that.
_MAX_NOTE = 1 << 20
_KEY_ID_SIZE = 4
_PUBLIC_SIZE = 32


class BadNote(HoopxError):
    """A note that is malformed, or not signed by the key it was to be opened with."""


class Verifier(Struct, frozen=True):
    """The public half of a key, by name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:_KEY_ID_SIZE]

    def __str__(self) -> str:
        """The verifier key as text: `<name>+<key id>+<base64 of 0x01 and the public key>`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """The inverse of `str`; raises `BadInput`."""
        parts = text.strip().split("+", 2)
        material = _unbase64(parts[2]) if len(parts) == 3 else None
        if material is None or material[:1] != ED25519 or len(material) != 1 + _PUBLIC_SIZE or not is_name(parts[0]):
            raise BadInput("this is not an Ed25519 verifier key", "it looks like `name+0123abcd+AbC…=`, on one line")
        verifier = cls(parts[0], material[1:])
        if parts[1] != verifier.key_id.hex():
            raise BadInput("the verifier key does not match its own key id", "copy it again, whole")
        return verifier


def is_name(text: str) -> bool:
    """Key names hold no spaces of any script, no plus, and nothing that a note may not hold."""
    return bool(text) and text.isprintable() and not any(c.isspace() or c == "+" for c in text)


def sign(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """The signed note over `text`, which ends in a newline and holds no other control character."""
    if not _is_text(text):
        raise BadNote("a note ends in a newline and holds no control character but newlines")
    verifier = Verifier(name, private.public_key().public_bytes_raw())
    signature = base64.b64encode(verifier.key_id + private.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{name} {signature}\n"


def open_note(note: str, vkey: str) -> str:
    """The text of `note`, if the key signed it. Signatures of other keys are ignored; raises `BadNote`."""
    verifier = Verifier.parse(vkey)
    text, signatures = _split(note)
    ours = [signed for name, key_id, signed in signatures if (name, key_id) == (verifier.name, verifier.key_id)]
    if not ours:
        raise BadNote(f"the note is not signed by `{verifier.name}` with key id {verifier.key_id.hex()}")
    key = Ed25519PublicKey.from_public_bytes(verifier.public)
    for signed in ours:
        try:
            key.verify(signed, text.encode())
        except InvalidSignature as error:
            raise BadNote(f"the signature of `{verifier.name}` does not hold") from error
    return text


def _split(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Text and signatures, parted by the last empty line."""
    text, gap, tail = note.rpartition("\n\n")
    if len(note) > _MAX_NOTE or not gap or not tail.endswith("\n") or not _is_text(text + "\n"):
        raise BadNote("this is not a signed note")
    return text + "\n", [_signature(line) for line in tail[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    signed = _unbase64(encoded)
    if not line.startswith(_DASH) or not is_name(name) or signed is None or len(signed) <= _KEY_ID_SIZE:
        raise BadNote("the note has a malformed signature line")
    return name, signed[:_KEY_ID_SIZE], signed[_KEY_ID_SIZE:]


def _is_text(text: str) -> bool:
    return text.endswith("\n") and all(c >= " " or c == "\n" for c in text) and _is_utf8(text)


def _is_utf8(text: str) -> bool:
    """A Python text may hold half a surrogate pair, which has no encoding."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _unbase64(text: str) -> bytes | None:
    """Strictly: what would not be written the same way again is refused, so that one signature has one form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None

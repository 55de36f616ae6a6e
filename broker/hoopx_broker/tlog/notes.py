"""Sign and open notes as the C2SP signed-note specification has them (c2sp.org/signed-note), Ed25519 only."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.tlog.failures import BadNote

__all__ = ["ED25519", "BadNote", "Signature", "Signer", "Verifier", "open_note", "sign", "sign_by", "signed_by"]

ED25519 = b"\x01"
_DASH = "— "
# The specification asks for at least 16 signatures, of up to 5 kB each; this is more than ten times that.
_MAX_NOTE = 1 << 20
_MAX_SIGNATURES = 100  # as Go's package has it
_KEY_ID_SIZE = 4
_PUBLIC_SIZE = 32


class Verifier(Struct, frozen=True):
    """The public half of a key, by name. `kind` says what its signatures are over: a note, or a cosigned checkpoint."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:_KEY_ID_SIZE]

    def __str__(self) -> str:
        """The verifier key as text: `<name>+<key id>+<base64 of the kind and the public key>`."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    @classmethod
    def parse(cls, text: str, kind: bytes = ED25519) -> Verifier:
        """The inverse of `str`; raises `BadInput`."""
        parts = text.strip().split("+", 2)
        material = unbase64(parts[2]) if len(parts) == 3 else None
        if material is None or len(material) != 1 + _PUBLIC_SIZE or not is_name(parts[0]):
            raise BadInput("this is not an Ed25519 verifier key", "it looks like `name+0123abcd+AbC…=`, on one line")
        if material[:1] != kind:
            wanted = "the log" if kind == ED25519 else "a witness"
            raise BadInput(
                f"the verifier key `{parts[0]}` is not one of {wanted}",
                f"its kind is 0x{material[:1].hex()}; give one of kind 0x{kind.hex()}",
            )
        verifier = cls(parts[0], material[1:], kind)
        if parts[1] != verifier.key_id.hex():
            raise BadInput("the verifier key does not match its own key id", "copy it again, whole")
        return verifier


class Signer(Struct, frozen=True):
    """A private key, by name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.private.public_key().public_bytes_raw())


class Signature(Struct, frozen=True):
    """One signature of a note, of whatever kind: `signed` is all that stands behind the key id."""

    name: str
    key_id: bytes
    signed: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signed).decode()}\n"


def is_name(text: str) -> bool:
    """Key names hold no spaces of any script, no plus, and nothing that a note may not hold."""
    return bool(text) and text.isprintable() and not any(c.isspace() or c == "+" for c in text)


def sign(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """The signed note over `text`, which ends in a newline and holds no other control character."""
    return sign_by(text, [Signer(name, private)])


def sign_by(text: str, signers: Sequence[Signer]) -> str:
    """The note over `text`, signed by each in turn."""
    if not _is_text(text):
        raise BadNote("a note ends in a newline and holds no control character but newlines")
    lines = [Signature(by.name, by.verifier.key_id, by.private.sign(text.encode())).line() for by in signers]
    return f"{text}\n{''.join(lines)}"


def open_note(note: str, vkey: str) -> str:
    """The text of `note`, if the key signed it. Signatures of other keys are ignored; raises `BadNote`."""
    return signed_by(note, [Verifier.parse(vkey)])[0]


def signed_by(note: str, keys: Sequence[Verifier]) -> tuple[str, list[Verifier]]:
    """The text of `note`, and which of `keys` signed it, at least one, in the order of the note.

    Signatures of other keys are ignored. Raises `BadNote`, also if one is said to be of a known key and is not.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    found: dict[Verifier, None] = {}
    for signature in signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            _check(text, signature, key)
            found[key] = None
    if not found:
        wanted = " or ".join(f"`{key.name}` with key id {key.key_id.hex()}" for key in keys)
        raise BadNote(f"the note is not signed by {wanted}")
    return text, list(found)


def split_note(note: str) -> tuple[str, list[Signature]]:
    """Text and signatures, parted by the last empty line. Nothing is checked but the form; raises `BadNote`."""
    text, gap, tail = note.rpartition("\n\n")
    if len(note) > _MAX_NOTE or not gap or not tail.endswith("\n") or not _is_text(text + "\n"):
        raise BadNote("this is not a signed note")
    lines = tail[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise BadNote(f"the note has more than {_MAX_SIGNATURES} signatures")
    return text + "\n", [_signature(line) for line in lines]


def _check(text: str, signature: Signature, key: Verifier) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature.signed, text.encode())
    except InvalidSignature as error:
        raise BadNote(f"the signature of `{key.name}` does not hold") from error


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    signed = unbase64(encoded)
    if not line.startswith(_DASH) or not is_name(name) or signed is None or len(signed) <= _KEY_ID_SIZE:
        raise BadNote("the note has a malformed signature line")
    return Signature(name, signed[:_KEY_ID_SIZE], signed[_KEY_ID_SIZE:])


def _is_text(text: str) -> bool:
    return text.endswith("\n") and all(c >= " " or c == "\n" for c in text) and _is_utf8(text)


def _is_utf8(text: str) -> bool:
    """A Python text may hold half a surrogate pair, which has no encoding."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def unbase64(text: str) -> bytes | None:
    """Strictly: what would not be written the same way again is refused, so that one signature has one form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None

"""Encrypt recordings to public keys: a key for each recording, in an age file of its own, for those who may read it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from hoopx_broker.recording.failures import Locked
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret

KEY_SIZE = 32
TAG_SIZE = 16
MAX_RECIPIENTS = 64
# An age file of 32 bytes has some 200, and about 100 more for each recipient.
MAX_WRAPPED = 16 << 10

_NONCE_SIZE = 12
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_SECRET = "AGE-SECRET-KEY-1"
_MAX_FILE = 64 << 10  # a line for each key, and comments
INSTALL = "install it: `pip install 'hoopx[age]'`"


class CannotOpen(ValueError):
    """A block that this key does not open: changed, or not of this place, or of another recording."""


class Lock:
    """Encrypts the blocks of one recording, each for its place in it alone."""

    __slots__ = ("_aead", "recipients", "wrapped")

    def __init__(self, recipients: Sequence[str], wrapped: bytes, key: Secret) -> None:
        self.recipients = tuple(recipients)
        self.wrapped = wrapped
        self._aead = AESGCM(bytes.fromhex(key.reveal()))

    @classmethod
    def make(cls, recipients: Sequence[str]) -> Lock:
        """A fresh key, wrapped for `recipients`. Raises `BadInput`."""
        key = os.urandom(KEY_SIZE)
        return cls(recipients, wrap(key, recipients), Secret(key.hex()))

    def close(self, session: str, block: int, head: bytes, payload: bytes) -> bytes:
        """A key is used for one recording, and a number for one block, so a nonce never comes twice."""
        return self._aead.encrypt(_nonce(block), payload, session.encode() + head)

    def open(self, session: str, block: int, head: bytes, payload: bytes) -> bytes:
        """Raises `CannotOpen`."""
        try:
            return self._aead.decrypt(_nonce(block), payload, session.encode() + head)
        except InvalidTag:
            raise CannotOpen("it cannot be decrypted (changed, moved, or of another recording)") from None


def _nonce(block: int) -> bytes:
    return block.to_bytes(_NONCE_SIZE, "big")


def is_recipient(text: str) -> bool:
    return _RECIPIENT.fullmatch(text) is not None


def wrap(key: bytes, recipients: Sequence[str]) -> bytes:
    """A whole age file that holds `key`. Raises `BadInput`."""
    age = _age()
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise BadInput(f"a recording is encrypted to at most {MAX_RECIPIENTS} keys", "name fewer in `encrypt_to`")
    try:
        wrapped: bytes = age.encrypt(key, [age.x25519.Recipient.from_str(each) for each in recipients])
    except age.RecipientError as error:
        raise BadInput(f"a key in `encrypt_to` is no age recipient: {error}", "copy it again, whole") from error
    return wrapped


def check_recipient(text: str) -> None:
    """Raises `BadInput`, with what to install where that is what lacks."""
    wrap(bytes(KEY_SIZE), [text])


class AgeIdentity(Struct, frozen=True):
    """Who may read: the secret keys of an age identity file."""

    secrets: tuple[Secret, ...]

    @classmethod
    def load(cls, path: Path) -> AgeIdentity:
        """The keys in a file as `age-keygen` writes it. Raises `BadInput`."""
        try:
            with path.open("rb") as file:
                text = Secret(file.read(_MAX_FILE + 1).decode(errors="replace"))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BadInput(f"`{path}` cannot be read: {reason}", "give the file that `age-keygen -o` wrote") from None
        lines = [line.strip() for line in text.reveal().splitlines()]
        keys = tuple(Secret(line) for line in lines if line and not line.startswith("#"))
        if not keys or len(text.reveal()) > _MAX_FILE or not all(key.reveal().startswith(_SECRET) for key in keys):
            raise BadInput(
                f"`{path}` is not an age identity file", "give the file that `age-keygen -o` wrote, not encrypted"
            )
        return cls(keys)

    def lock(self, recipients: Sequence[str], wrapped: bytes) -> Lock:
        """What opens the blocks of a recording. Raises `Locked`, or `BadInput` for keys that are none."""
        age = _age()
        try:
            keys = [age.x25519.Identity.from_str(each.reveal()) for each in self.secrets]
        except age.IdentityError as error:
            raise BadInput(f"a key of the identity file is none of age: {error}", "copy it again, whole") from None
        try:
            key: bytes = age.decrypt(wrapped, keys)
        except age.DecryptError as error:
            raise Locked(
                f"this identity does not open the recording ({error})", f"it is encrypted to {', '.join(recipients)}"
            ) from None
        if len(key) != KEY_SIZE:
            raise Locked(f"the key of the recording has {len(key)} bytes, not {KEY_SIZE}", "no hoopx wrote it so")
        return Lock(recipients, wrapped, Secret(key.hex()))


def _age() -> Any:
    # It is an extra: most recordings are in the clear.
    try:
        import pyrage
    except ImportError:
        raise BadInput(
            "recordings are encrypted and read by the package `pyrage`, which is not here", INSTALL
        ) from None
    return pyrage

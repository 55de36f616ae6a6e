"""The broker's evidence key: made once, kept in a file that only the broker reads, used to seal recordings."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.recording.whole import create_whole, ensure_private_directory
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret
from hoopx_broker.tlog.notes import ED25519, Signer, Verifier, is_name, sign

_OPEN_TO_OTHERS = 0o077
_SEED_SIZE = 32
# The private form that the tools around signed notes use: `PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 and the seed>`.
_PRIVATE = "PRIVATE+KEY+"
_MAX_FILE = 4096  # a key file is one line; a name in it is a host name


class EvidenceKey:
    """Signs notes. `verifier` is the public half, as anyone may have it."""

    __slots__ = ("_private", "name", "verifier")

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        if not is_name(name):
            raise BadInput(f"`{name!r}` cannot name a key", "use the broker's host name: no spaces, no plus sign")
        self._private = private
        self.name = name
        self.verifier = str(Verifier(name, private.public_key().public_bytes_raw()))

    def __repr__(self) -> str:
        return f"<evidence key {self.verifier}>"

    @property
    def signer(self) -> Signer:
        """For notes that several keys sign."""
        return Signer(self.name, self._private)

    def sign(self, text: str) -> str:
        """A C2SP signed note over `text`, which ends in a newline."""
        return sign(text, self.name, self._private)

    @classmethod
    def load_or_create(
        cls, path: Path, name: str, generate: Callable[[], Ed25519PrivateKey] = Ed25519PrivateKey.generate
    ) -> EvidenceKey:
        """The key in `path`; where there is none yet, a new one called `name`. A stored key keeps its own name.

        Two brokers that start at once end up with the same key. Raises `BadInput`.
        """
        try:
            ensure_private_directory(path.parent)
            if not path.exists():
                cls._create(path, name, generate())
            return cls._load(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadInput(f"the evidence key `{path}` cannot be used: {reason}", "check the file's owner") from error

    @classmethod
    def _create(cls, path: Path, name: str, private: Ed25519PrivateKey) -> None:
        key = cls(name, private)
        try:
            # A key that has been shown to people must still be there after a power cut.
            os.close(create_whole(path, key._as_text().reveal().encode(), through_power_cuts=True))
        except FileExistsError:
            return  # another broker was first; its key is the key

    @classmethod
    def _load(cls, path: Path) -> EvidenceKey:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OPEN_TO_OTHERS:
                raise BadInput(f"the evidence key `{path}` is open to others", f"run `chmod 600 {path}`")
            return cls.parse(Secret(file.read(_MAX_FILE).decode(errors="replace")), str(path))

    @classmethod
    def parse(cls, text: Secret, source: str) -> EvidenceKey:
        """The private key that is written in `text`, which came from `source`. Raises `BadInput`."""
        parts = text.reveal().strip().removeprefix(_PRIVATE).split("+", 2)
        unreadable = BadInput(
            f"`{source}` is not an evidence key", "restore it; a new key would not prove old recordings"
        )
        try:
            name, key_id, encoded = parts
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise unreadable from None  # the cause would quote the secret
        if raw[:1] != ED25519 or len(raw) != 1 + _SEED_SIZE or not text.reveal().startswith(_PRIVATE):
            raise unreadable
        key = cls(name, Ed25519PrivateKey.from_private_bytes(raw[1:]))
        if Verifier.parse(key.verifier).key_id.hex() != key_id:
            raise unreadable
        return key

    def _as_text(self) -> Secret:
        encoded = base64.b64encode(ED25519 + self._private.private_bytes_raw()).decode()
        key_id = Verifier.parse(self.verifier).key_id.hex()
        return Secret(f"{_PRIVATE}{self.name}+{key_id}+{encoded}\n")

"""What MySQL and MariaDB store instead of a password, made here: the clear one reaches no server and no log."""

from __future__ import annotations

import secrets
from hashlib import sha1, sha256

ROUNDS = 5000  # what MySQL itself takes; its stored form counts them in thousands
SALT_BYTES = 20
_SALT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The order in which SHA-crypt (https://www.akkadia.org/drepper/SHA-crypt.txt) writes the bytes of its digest down.
_ORDER = [(0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14), (15, 25, 5), (6, 16, 26), (27, 7, 17)]
_ORDER += [(18, 28, 8), (9, 19, 29)]


def native(password: str) -> str:
    """For `mysql_native_password`: the hash of the hash. Enough for long random passwords, and for no others."""
    return "*" + sha1(sha1(password.encode()).digest()).hexdigest().upper()


def caching_sha2(password: str, salt: bytes | None = None) -> bytes:
    """For `caching_sha2_password`: `$A$005$`, the salt, and the digest of SHA-crypt."""
    salt = salt or "".join(secrets.choice(_SALT) for _ in range(SALT_BYTES)).encode()
    return b"$A$%03X$" % (ROUNDS // 1000) + salt + sha256_crypt(password.encode(), salt)


def sha256_crypt(password: bytes, salt: bytes) -> bytes:
    """The digest alone, in its 43 characters."""
    digest = _digest(password, salt)
    password_part = _stretched(sha256(password * len(password)).digest(), len(password))
    salt_part = _stretched(sha256(salt * (16 + digest[0])).digest(), len(salt))
    for turn in range(ROUNDS):
        round_ = sha256(password_part if turn % 2 else digest)
        round_.update(salt_part if turn % 3 else b"")
        round_.update(password_part if turn % 7 else b"")
        round_.update(digest if turn % 2 else password_part)
        digest = round_.digest()
    return _written(digest)


def _digest(password: bytes, salt: bytes) -> bytes:
    inner = sha256(password + salt + password).digest()
    outer = sha256(password + salt + _stretched(inner, len(password)))
    length = len(password)
    while length:
        outer.update(inner if length & 1 else password)
        length >>= 1
    return outer.digest()


def _stretched(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _written(digest: bytes) -> bytes:
    text = [_six_bits(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in _ORDER]
    text.append(_six_bits(digest[31] << 8 | digest[30], 3))
    return "".join(text).encode()


def _six_bits(number: int, characters: int) -> str:
    return "".join(_SALT[number >> 6 * index & 63] for index in range(characters))

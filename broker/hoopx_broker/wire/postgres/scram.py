"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both roles: towards a server, and towards the client on a local socket."""

from __future__ import annotations

import hmac
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import pbkdf2_hmac, sha256
from weakref import WeakKeyDictionary

from hoopx_broker.terms.secret import Secret
from hoopx_broker.wire.cursor import BrokenPeer

MECHANISM = b"SCRAM-SHA-256"
MECHANISM_PLUS = b"SCRAM-SHA-256-PLUS"

# A hostile server could ask for 2^31 rounds and hold the broker's loop. 100 000 rounds take about 30 ms.
MAX_ITERATIONS = 100_000
# PostgreSQL's own default; the password on a local socket is 256 random bits, which need no stretching.
LOCAL_ITERATIONS = 4096
# Real nonces have 24 to 64 characters; a long one only costs memory and hashing.
MAX_MESSAGE = 2048


# The salt, the rounds and the salted key of the last login by a password, for as long as somebody holds the password:
# further connections of a session need not go through the rounds again.
_last: WeakKeyDictionary[Secret, tuple[bytes, int, Secret]] = WeakKeyDictionary()


class WrongPassword(Exception):
    """The proof does not match."""


def saslprep(password: str) -> str:
    """RFC 4013 as PostgreSQL applies it: a password that it forbids is used as it is."""
    if password.isascii():
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    normal = unicodedata.normalize("NFKC", mapped)
    forbidden = any(_forbidden(c) for c in normal)
    return password if forbidden or not normal else normal


def _forbidden(char: str) -> bool:
    return (
        stringprep.in_table_c12(char)
        or stringprep.in_table_c21_c22(char)
        or stringprep.in_table_c3(char)
        or stringprep.in_table_c4(char)
        or stringprep.in_table_c5(char)
        or stringprep.in_table_c6(char)
        or stringprep.in_table_c7(char)
        or stringprep.in_table_c8(char)
        or stringprep.in_table_c9(char)
        or stringprep.in_table_a1(char)
    )


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _salted(password: Secret, salt: bytes, iterations: int) -> bytes:
    return pbkdf2_hmac("sha256", saslprep(password.reveal()).encode(), salt, iterations)


def _salted_once(password: Secret, salt: bytes, iterations: int) -> bytes:
    """As `_salted`, towards a server, whose salt stays the same until the password is changed."""
    known = _last.get(password)
    if known is not None and known[:2] == (salt, iterations):
        return bytes.fromhex(known[2].reveal())
    salted = _salted(password, salt, iterations)
    _last[password] = salt, iterations, Secret(salted.hex())
    return salted


def _attributes(message: bytes) -> dict[str, bytes]:
    if len(message) > MAX_MESSAGE:
        raise BrokenPeer("a SCRAM message is too long")
    found: dict[str, bytes] = {}
    for part in message.split(b","):
        if len(part) < 2 or part[1:2] != b"=":
            raise BrokenPeer("a SCRAM message is malformed")
        name = part[:1].decode("latin-1")
        if name in found:
            raise BrokenPeer("a SCRAM message repeats an attribute")
        found[name] = part[2:]
    return found


def _decoded(value: bytes | None) -> bytes:
    if value is None:
        raise BrokenPeer("a SCRAM message lacks an attribute")
    try:
        return b64decode(value, validate=True)
    except Base64Error as error:
        raise BrokenPeer("a SCRAM message holds bad base64") from error


class ClientExchange:
    """Proves a password to a server. `binding` is `tls-server-end-point` data (RFC 5929), None without it."""

    def __init__(self, password: Secret, nonce: bytes, *, binding: bytes | None = None, tls: bool = False) -> None:
        self._password = password
        self._nonce = b64encode(nonce)
        self._binding = binding or b""
        # `y`: we could bind but the server did not offer it, which lets the server notice a stripped offer.
        self._header = b"p=tls-server-end-point,," if binding else (b"y,," if tls else b"n,,")
        self._bare = b"n=,r=" + self._nonce
        self._server_signature: bytes | None = None

    def first(self) -> bytes:
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        said = _attributes(server_first)
        if "m" in said:
            raise BrokenPeer("the server asks for a SCRAM extension that does not exist")
        nonce, salt = said.get("r", b""), _decoded(said.get("s"))
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or not salt:
            raise BrokenPeer("the server's SCRAM nonce or salt does not hold")
        salted = _salted_once(self._password, salt, _iterations(said.get("i", b"")))
        without_proof = b"c=" + b64encode(self._header + self._binding) + b",r=" + nonce
        signed = b",".join((self._bare, server_first, without_proof))
        key = _mac(salted, b"Client Key")
        proof = _xor(key, _mac(sha256(key).digest(), signed))
        self._server_signature = _mac(_mac(salted, b"Server Key"), signed)
        return without_proof + b",p=" + b64encode(proof)

    def finish(self, server_final: bytes) -> None:
        """Raises `BrokenPeer` unless the server proved that it knows the password too."""
        said = _decoded(_attributes(server_final).get("v"))
        if self._server_signature is None or not hmac.compare_digest(said, self._server_signature):
            raise BrokenPeer("the server does not know the password: it is not the server it says it is")


def _iterations(value: bytes) -> int:
    if not value.isdigit() or len(value) > 10 or not 0 < int(value) <= MAX_ITERATIONS:
        raise BrokenPeer(f"the server asks for SCRAM iterations outside 1 to {MAX_ITERATIONS}")
    return int(value)


class ServerExchange:
    """Checks that a client knows a password. Any user name is taken; channel binding is not offered."""

    def __init__(self, password: Secret, nonce: bytes, salt: bytes) -> None:
        self._password = password
        self._nonce = b64encode(nonce)
        self._salt = salt
        self._header = b""
        self._client_first = b""
        self._server_first = b""

    def first(self, client_first: bytes) -> bytes:
        flag, _, rest = client_first.partition(b",")
        if flag not in (b"n", b"y"):
            raise BrokenPeer("the client asks for channel binding where there is none")
        authzid, comma, bare = rest.partition(b",")
        if not comma or authzid:
            raise BrokenPeer("the client's first SCRAM message is malformed")
        nonce = _attributes(bare).get("r", b"")
        if not nonce:
            raise BrokenPeer("the client's SCRAM nonce is missing")
        self._header = flag + b",,"
        self._client_first = bare
        self._server_first = b"r=%b%b,s=%b,i=%d" % (nonce, self._nonce, b64encode(self._salt), LOCAL_ITERATIONS)
        return self._server_first

    def final(self, client_final: bytes) -> bytes:
        """Returns the server's final message; raises `WrongPassword`."""
        without_proof, _, _ = client_final.rpartition(b",p=")
        said = _attributes(client_final)
        expected_nonce = self._server_first.partition(b",")[0][2:]
        if _decoded(said.get("c")) != self._header or said.get("r") != expected_nonce:
            raise BrokenPeer("the client's final SCRAM message does not fit the first")
        proof = _decoded(said.get("p"))
        salted = _salted(self._password, self._salt, LOCAL_ITERATIONS)
        signed = b",".join((self._client_first, self._server_first, without_proof))
        stored = sha256(_mac(salted, b"Client Key")).digest()
        signature = _mac(stored, signed)
        if len(proof) != len(signature) or not hmac.compare_digest(sha256(_xor(proof, signature)).digest(), stored):
            raise WrongPassword
        return b"v=" + b64encode(_mac(_mac(salted, b"Server Key"), signed))

"""Take a signed token apart within bounds, and check its signature under one key."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, TypeGuard

import msgspec
from jwt import PyJWS
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode
from msgspec import Struct

from hoopx_broker.identity.keys import ALGORITHMS, Key

MAX_TOKEN = 16_384  # servers commonly take 8 or 16 KB of headers; a token with a thousand groups still fits
MAX_KID = 256  # a key id is a name, not a place to put things
LAST_MOMENT = 253_402_300_799  # seconds since the Unix epoch: the year 9999, with which calendars end

# A token's own type, so that one made for another use (a logout token, a DPoP proof) is not taken for a login.
LOGIN_TYPES = frozenset({"jwt", "jose", "at+jwt", "application/at+jwt"})
# RFC 7515 knows no padding: a token has one spelling, so that a list of tokens can be kept.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_READER = PyJWS(algorithms=list(ALGORITHMS))


class NotAccepted(Exception):
    """Why a token does not hold: for the broker's log, never for whoever sent it."""


class Token(Struct, frozen=True):
    """A token as it claims to be: nothing here is proved before `prove`."""

    raw: str
    alg: str
    kid: str | None
    claims: dict[str, Any]

    def __repr__(self) -> str:
        return "<token>"


def is_moment(value: object) -> TypeGuard[int | float]:
    """Is it a time? Compared as it is: an integer of a thousand digits fits no float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LAST_MOMENT <= value <= LAST_MOMENT


def shown(value: object) -> str:
    """A value of a stranger's, fit for a log line: escaped and short."""
    return ascii(value)[:120]


def read_token(raw: str, types: Collection[str] = LOGIN_TYPES) -> Token:
    """Read header and claims of a compact JWS. Raises `NotAccepted`."""
    header, claims = read_jws(raw, types)
    return Token(raw, header["alg"], _key_id(header), claims)


def read_jws(raw: str, types: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token of one of these types (none said is `jwt`), its `alg` a known one; unproved."""
    if len(raw) > MAX_TOKEN or not _COMPACT.fullmatch(raw):
        raise NotAccepted("it is not a signed token of bearable size")
    head, body, _ = raw.split(".")
    header, claims = _json_object(head), _json_object(body)
    # Keys that a header carries or points to (jwk, jku, x5c, x5u) prove nothing about a login: they are the sender's
    # word. Only a proof of possession brings its own key, and proves that key alone.
    if "crit" in header or "b64" in header:
        raise NotAccepted("its header demands extensions")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in types:
        raise NotAccepted(f"it is a token of type {shown(kind)}")
    _check_algorithm(header)
    return header, claims


def prove(token: Token, key: Key) -> None:
    """Check the signature under exactly the algorithm that key and token agree on. Raises `NotAccepted`."""
    verify_signature(token.raw, key, token.alg)


def verify_signature(raw: str, key: Key, alg: str) -> None:
    """As `prove`, for a JWS that is no token."""
    if not key.fits(alg):
        raise NotAccepted("its key does not fit its algorithm")
    try:
        _READER.decode_complete(raw, key.public, algorithms=[alg])
    except (PyJWTError, ValueError, TypeError, NotImplementedError):
        raise NotAccepted("its signature does not hold") from None


def _json_object(segment: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(base64url_decode(segment), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise NotAccepted("it is not made of JSON objects") from None


def _check_algorithm(header: dict[str, Any]) -> None:
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        raise NotAccepted(f"its algorithm {shown(alg)} is not one of {', '.join(ALGORITHMS)}")


def _key_id(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    if not isinstance(kid, str | None) or len(kid or "") > MAX_KID:
        raise NotAccepted("its key id is not a short text")
    return kid

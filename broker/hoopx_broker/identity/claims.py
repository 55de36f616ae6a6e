"""What a proved token says: for whom it is, when it holds, and who its bearer is."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType

from hoopx_broker.identity.identity import Login
from hoopx_broker.identity.jws import NotAccepted, is_moment, shown
from hoopx_broker.identity.rules import holding
from hoopx_broker.terms.people import Principal, PrincipalKind
from hoopx_broker.terms.settings import OidcIssuer

MAX_SKEW = 60.0  # seconds; what NTP-kept clocks may differ by, and far less than any token's life
MAX_NAME = 256  # the longest e-mail address has 254 characters
MAX_GROUPS = 1000  # a token with more does not fit MAX_TOKEN with names of ordinary length

# Printable by Unicode, and shown by no font: fillers of Hangul and Khmer, a joiner, the empty sign of Braille.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")

_KINDS: dict[str, PrincipalKind] = {"human": "human", "workload": "job"}


def is_meant_for(claims: dict[str, Any], issuer: OidcIssuer) -> bool:
    """Is this token for us: our audience, or (of people) an ID token made for our client and nobody else?"""
    audiences = _audiences(claims)
    if issuer.audience in audiences:
        return True
    if issuer.kind != "human" or issuer.client_id is None:
        return False
    return audiences == [issuer.client_id] and claims.get("azp", issuer.client_id) == issuer.client_id


def check_times(claims: dict[str, Any], now: float) -> float:
    """The token's end, in seconds since the Unix epoch. Raises `NotAccepted` outside its time.

    Only the beginning has a grace for clocks that differ: a token never holds longer than its issuer said.
    """
    expires_at = _moment(claims, "exp")
    if expires_at is None or now >= expires_at:
        raise NotAccepted("it has no end" if expires_at is None else "it is past its end")
    for name in ("nbf", "iat", "auth_time"):
        moment = _moment(claims, name)
        if moment is not None and moment > now + MAX_SKEW:
            raise NotAccepted(f"its `{name}` lies in the future")
    return expires_at


def check_use(claims: dict[str, Any]) -> None:
    """Refuse tokens that a provider signs with the same key for another use than logging in."""
    if "events" in claims:
        raise NotAccepted("it tells of an event (a logout, a security event) and is no login")


def bound_to(claims: dict[str, Any]) -> str | None:
    """The thumbprint of the key that the token is bound to by its provider (RFC 9449 section 6), None for none."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    thumbprint = confirmation.get("jkt") if isinstance(confirmation, dict) else None
    # A certificate (`x5t#S256`), or a key in whole: ways of binding that nobody proves here.
    if not isinstance(thumbprint, str) or not thumbprint or len(confirmation) != 1:
        raise NotAccepted("it is bound to a key in a way that cannot be proved here")
    return thumbprint


def login_of(claims: dict[str, Any], issuer: OidcIssuer) -> Login:
    """The signing in that the token comes from."""
    began_at = _moment(claims, "auth_time") or _moment(claims, "iat") or 0.0
    sid = claims.get("sid")
    return Login(issuer.issuer, _subject(claims), began_at, sid if isinstance(sid, str) else "")


def issued_at(claims: dict[str, Any]) -> float:
    """In seconds since the Unix epoch; 0 where the token does not say."""
    return _moment(claims, "iat") or 0.0


def client_of(claims: dict[str, Any]) -> str:
    """The program that the token was given to, empty where it does not say."""
    named = claims.get("client_id", claims.get("azp", ""))
    return named if isinstance(named, str) else ""


def principal(claims: dict[str, Any], issuer: OidcIssuer) -> Principal:
    """Who the bearer is, by the issuer's mapping of claims and its rules. Raises `NotAccepted`."""
    if "act" in claims:
        raise NotAccepted("it says that somebody acts for somebody else, which only our own tokens may say")
    held = holding(issuer.rules, claims) if issuer.rules else []
    given = (group for rule in held for group in rule.groups)
    return Principal(
        person=_person(claims, issuer),
        user=_user(claims, issuer),
        kind="agent" if any(rule.agent for rule in held) else _KINDS[issuer.kind],
        groups=tuple(dict.fromkeys((*_groups(claims, issuer), *given))),
        issuer=issuer.issuer,
        subject=_subject(claims),
    )


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    return _name(subject, "sub") if subject is not None else ""


def _audiences(claims: dict[str, Any]) -> list[str]:
    """The audiences, or none where one of them is not a text."""
    audience = claims.get("aud")
    values: list[Any] = audience if isinstance(audience, list) else [audience]
    return values if all(isinstance(value, str) for value in values) else []


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if not is_moment(value):
        raise NotAccepted(f"its `{name}` is not a time")
    return float(value)


def _user(claims: dict[str, Any], issuer: OidcIssuer) -> str:
    name = issuer.claims.user
    # Where people may type an address that nobody checked, they may type someone else's.
    if name == "email" and claims.get("email_verified", True) not in (True, "true"):
        raise NotAccepted("its e-mail address is not verified")
    return _name(claims.get(name), name)


def _person(claims: dict[str, Any], issuer: OidcIssuer) -> str | UnsetType:
    """Where the issuer is to name persons it names each: an account of nobody could be anybody's second one."""
    name = issuer.claims.person
    if name is None:
        return UNSET
    value = claims.get(name)
    # Numbers of employees are numbers at some providers, and texts at others.
    return _name(str(value) if type(value) is int else value, name)


def _groups(claims: dict[str, Any], issuer: OidcIssuer) -> tuple[str, ...]:
    name = issuer.claims.groups
    value = claims.get(name) if name is not None else None
    if value is None:
        return ()
    listed = [part for part in re.split(r"[\s,]+", value) if part] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS:
        raise NotAccepted(f"its `{name}` is not a bearable list of groups")
    return tuple(dict.fromkeys(_name(group, str(name)) for group in listed))


def _name(value: object, claim: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise NotAccepted(f"its `{claim}` is not a name: {shown(value)}")
    # Names stand in recordings, rules and terminals: no control, invisible or direction-changing characters.
    if not value.isprintable() or value != value.strip() or _UNSEEN.search(value):
        raise NotAccepted(f"its `{claim}` holds characters that a name must not: {shown(value)}")
    return value

"""What tokens of the embedded issuer say: of people, of agents, and of agents that act for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from hoopx_broker.identity.claims import login_of, principal
from hoopx_broker.identity.identity import Login
from hoopx_broker.identity.jws import NotAccepted, shown
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import OidcIssuer


def own_principal(claims: dict[str, Any], issuer: OidcIssuer, agents: Mapping[str, tuple[str, ...]]) -> Principal:
    """Who the bearer is; `agents` are those configured now, with their groups. Raises `NotAccepted`.

    For tokens of our own issuer alone: what others write into `act` says nothing about our agents.
    """
    match claims.get("hoopx_kind"), claims.get("act"):
        case "human", None:
            return replace(principal(claims, issuer), person=_person(claims))
        case "agent", None:
            return _alone(claims, issuer, agents)
        case "agent", {"sub": str(name), **rest} if not rest and claims.get("client_id") == name:
            return _delegated(claims, issuer, name, _groups(name, agents))
        case kind, _:
            raise NotAccepted(f"it is no token for the broker: its kind is {shown(kind)}")


def own_login(claims: dict[str, Any], issuer: OidcIssuer) -> Login:
    """The signing in behind a token: of an agent on behalf of a human, the human's. Raises `NotAccepted`."""
    behind = claims.get("hoopx_login")
    if behind is None:
        return login_of(claims, issuer)
    try:
        said = msgspec.convert(behind, _Behind)
    except msgspec.ValidationError:
        raise NotAccepted("it does not say to which login it belongs") from None
    return Login(said.iss, said.sub, said.auth_time, said.sid)


class _Behind(Struct, frozen=True):
    """The claim `hoopx_login` of a token that was got by an exchange."""

    iss: str
    sub: str
    sid: str
    auth_time: float


def _alone(claims: dict[str, Any], issuer: OidcIssuer, agents: Mapping[str, tuple[str, ...]]) -> Principal:
    name = claims.get("sub")
    if not isinstance(name, str) or claims.get("client_id") != name:
        raise NotAccepted("it does not say which agent it is for")
    return Principal(name, "agent", _groups(name, agents), issuer.issuer, name)


def _delegated(claims: dict[str, Any], issuer: OidcIssuer, agent: str, groups: tuple[str, ...]) -> Principal:
    human = principal({name: value for name, value in claims.items() if name != "act"}, issuer)
    return Principal(
        user=agent,
        kind="agent",
        groups=groups,
        issuer=issuer.issuer,
        subject=agent,
        on_behalf_of=human.user,
        their_groups=human.groups,
        their_issuer=own_login(claims, issuer).issuer,
        person=_person(claims),
    )


def _person(claims: dict[str, Any]) -> str | UnsetType:
    """Whom the provider named behind whom we speak of; we name nobody ourselves."""
    person = claims.get("hoopx_person", UNSET)
    if person is not UNSET and not (isinstance(person, str) and person):
        raise NotAccepted("it does not say which person it is of")
    return person


def _groups(name: str, agents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if name not in agents:
        raise NotAccepted(f"its agent {shown(name)} is not configured any more")
    return agents[name]

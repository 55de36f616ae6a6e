"""Mint the tokens that the token endpoint answers with: for people, for agents, and for agents on behalf of people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from hoopx_broker.api import compact
from hoopx_broker.identity.embedded.logins import LOGIN_LIFE, Login, Logins, OnEnd
from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.refusals import OAuthError
from hoopx_broker.identity.embedded.signing import SigningKeys
from hoopx_broker.identity.embedded.upstream.guests import Guests, marked
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.identity import Login as SignedIn
from hoopx_broker.identity.login_events import accepted
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.people import Principal

ACCESS_LIFE = 900  # seconds; a token cannot be called back, so what was taken from somebody ends soon
# What tokens of agents say they are for: agents have no profile and no e-mail address.
AGENT_SCOPE = "groups"


class Tokens:
    """Answers of the token endpoint. `key` is everywhere the thumbprint that the new token is bound to, if any."""

    def __init__(
        self,
        url: str,
        audience: str,
        keys: SigningKeys,
        store: Store,
        guests: Guests,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        on_end: OnEnd,
    ) -> None:
        self._url = url
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._random = random
        self._guests = guests
        self._on_end = on_end
        self.logins = Logins(store, clock, self._ended)

    def now(self) -> float:
        return self._clock()

    def word(self) -> str:
        """A name or a secret that nobody guesses."""
        return compact.encode(self._random(32))

    async def _ended(self, family: str, why: str) -> None:
        self._guests.forget(family)
        await self._on_end(family, why)

    async def first(
        self,
        person: Person,
        client: str,
        scope: str,
        signed_in_at: float,
        key: str | None = None,
        family: str | None = None,
        nonce: str | None = None,
    ) -> dict[str, Any]:
        """The answer to a fresh login."""
        login = Login(person.name, client, scope, signed_in_at, self._clock() + LOGIN_LIFE, family or self.word(), key)
        if person.through is not None:
            login = replace(login, user=marked(person.name), ends_at=self._guests.ends_at(person))
        refresh = self.word() if "offline_access" in scope.split() else None
        await self.logins.begin(login, refresh, self._signed_in(person, login))
        if refresh is not None:
            self._guests.keep(login.family, person, login.ends_at)
        return await self._of_person(person, login, refresh, key, nonce)

    def _signed_in(self, person: Person, login: Login) -> Event:
        """By the same name as the login has when a token of it is used."""
        who = Principal(person.name, "human", issuer=self._url, subject=person.name)
        began = SignedIn(self._url, person.name, int(login.signed_in_at), login.family)
        identity = Identity(who, began, self._clock(), login.ends_at, client=login.client)
        return accepted(identity, self._clock(), "sign-in")

    async def again(
        self, refresh: str, client: str, find: Callable[[Login], Awaitable[Person | None]], key: str | None = None
    ) -> dict[str, Any]:
        """The answer to a refresh token, which is spent by it. A spent one that comes back ends its whole login.

        `find` is asked first: where it raises because somebody's provider is silent, nothing is spent.
        """
        fresh = self.word()
        held = await self.logins.held(refresh, client)
        person = await find(held) if held is not None else None
        login = await self.logins.turn(refresh, fresh, client, key)
        if person is None:
            await self.logins.end_family(login.family, "its person is gone, or their provider has ended it")
            raise OAuthError("invalid_grant", "this login has ended")
        return await self._of_person(person, login, fresh, key, None)

    async def of_agent(self, agent: str, key: str | None) -> dict[str, Any]:
        """The answer to an agent that proved itself. Its groups are not said: they are as configured at each use."""
        said = {"sub": agent, "hoopx_kind": "agent", "client_id": agent, "scope": AGENT_SCOPE}
        return await self._answer(said, ACCESS_LIFE, key)

    async def of_agent_for(
        self, agent: str, human: Principal, ends_at: float, key: str, login: SignedIn
    ) -> dict[str, Any]:
        """The answer to an exchange: a token that ends with the human's own and with their login."""
        behind = {"iss": login.issuer, "sub": login.subject, "sid": login.sid, "auth_time": int(login.began_at)}
        said = {"sub": human.user, "groups": list(human.groups), "act": {"sub": agent}, "hoopx_login": behind}
        said |= _person(human) | {"hoopx_kind": "agent", "client_id": agent, "scope": AGENT_SCOPE}
        return await self._answer(said, min(ACCESS_LIFE, int(ends_at - self._clock())), key)

    async def _of_person(
        self, person: Person, login: Login, refresh: str | None, key: str | None, nonce: str | None
    ) -> dict[str, Any]:
        said = _said(person, login)
        access = said | (_person(person.through.proved.who) if person.through is not None else {})
        access |= {"hoopx_kind": "human", "client_id": login.client, "scope": login.scope}
        life = max(1, min(ACCESS_LIFE, int(login.ends_at - self._clock())))
        answer = await self._answer(access, life, key)
        if "openid" in login.scope.split():
            identity = said | self._frame(life) | {"aud": login.client, "azp": login.client}
            answer["id_token"] = await self._keys.sign(identity | ({"nonce": nonce} if nonce else {}), "JWT")
        return answer | ({"refresh_token": refresh} if refresh is not None else {})

    async def _answer(self, said: dict[str, Any], life: int, key: str | None) -> dict[str, Any]:
        """An access token (RFC 9068) that says this and what all say; bound to `key` (RFC 9449) where there is one."""
        bound = {"cnf": {"jkt": key}} if key is not None else {}
        # `jti` names this token in logs; RFC 9068 wants it.
        claims = said | self._frame(life) | {"aud": self._audience, "jti": self.word()} | bound
        return {
            "access_token": await self._keys.sign(claims, "at+jwt"),
            "token_type": "Bearer" if key is None else "DPoP",
            "expires_in": life,
            "scope": said["scope"],
        }

    def _frame(self, life: int) -> dict[str, Any]:
        now = int(self._clock())
        return {"iss": self._url, "iat": now, "exp": now + life}


def _person(who: Principal) -> dict[str, str]:
    """Whom their own provider named behind this account: for the broker alone, nobody else's business."""
    return {"hoopx_person": who.person} if isinstance(who.person, str) else {}


def _said(person: Person, login: Login) -> dict[str, Any]:
    """The claims of both tokens. Groups are as configured now, not as they were at the login."""
    said = {
        "sub": person.name,
        "preferred_username": person.name,
        "groups": list(person.groups),
        "auth_time": int(login.signed_in_at),
        "sid": login.family,
    }
    return said | ({"email": person.email, "email_verified": True} if person.email is not None else {})

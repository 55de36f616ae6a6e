"""Who is asking."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

PrincipalKind = Literal["human", "job", "agent"]


class Principal(Struct, frozen=True):
    """A verified identity. `user` is unique within a broker; `groups` are as the token said at this grant.

    An agent that acts for somebody has their name in `on_behalf_of`, their groups in `their_groups` and who says so in
    `their_issuer` (these two unset for all others, so that recordings of version 1 stay as they are): it may do what
    policy allows to both of them.

    `person` names the human behind it where several accounts are known to be of one (unset otherwise); of an agent that
    acts for somebody, the human behind that one.
    """

    user: str
    kind: PrincipalKind
    groups: tuple[str, ...] = ()
    issuer: str = ""
    subject: str = ""
    on_behalf_of: str | None = None
    their_groups: tuple[str, ...] | UnsetType = UNSET
    their_issuer: str | UnsetType = UNSET
    person: str | UnsetType = UNSET


class Owner(Struct, frozen=True):
    """Whose a session is: the user it was opened by, and the human on whose behalf."""

    user: str
    on_behalf_of: str | None = None

    def is_of(self, who: Principal) -> bool:
        """One's own are those that one opened, for the same human, and those of agents that acted for oneself."""
        if who.on_behalf_of is not None:
            return (who.user, who.on_behalf_of) == (self.user, self.on_behalf_of)
        return who.user == (self.user if self.on_behalf_of is None else self.on_behalf_of)


def spoken(user: str, on_behalf_of: str | None) -> str:
    """As people read it: `bot on behalf of ann`."""
    return f"{user} on behalf of {on_behalf_of}" if on_behalf_of else user

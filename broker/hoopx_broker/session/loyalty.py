"""End sessions whose people are not what they were when it opened: revoked, logged out, or out of a group."""

from __future__ import annotations

from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.memberships import groups_lost, human_of, listed
from hoopx_broker.identity.standing import Standing
from hoopx_broker.session.live import Sessions


class Loyalty:
    """Looks at all open sessions whenever something about people is learned."""

    def __init__(self, sessions: Sessions, standing: Standing) -> None:
        self._sessions = sessions
        self._standing = standing
        standing.on_change(self._look_at_standing)
        standing.groups.on_news(self._look_at_groups)

    def _look_at_standing(self) -> None:
        for session in self._sessions.all():
            revocation = self._standing.against(session.identity)
            if revocation is not None:
                why = "was revoked" if revocation.kind == "user" else "was ended by its identity provider"
                what = "access" if revocation.kind == "user" else "login"
                session.end_soon(f"this {what} {why}")

    def learn(self, identity: Identity) -> Identity:
        """A token was believed: what it says of a person counts for what opened, or will open, by an older one.

        Gives the identity as it counts itself, where a newer one was heard before.
        """
        self._standing.groups.learn(identity)
        self._look_at_groups(identity)
        return self._standing.memberships.as_now(identity)

    def _look_at_groups(self, identity: Identity) -> None:
        for session in self._sessions.all():
            lost = groups_lost(session.identity, identity)
            if lost:
                session.end_soon(f"`{human_of(identity)}` is not in {listed(lost)} any more")


def lost_by_renewal(before: Identity, identity: Identity) -> str:
    """Why a session ends with this renewed token of its own; empty where it goes on."""
    if _name_of(before) != _name_of(identity) or before.key != identity.key:
        return "the renewed login is another one"
    lost = frozenset(before.who.groups) - frozenset(identity.who.groups)
    lost |= frozenset(before.who.their_groups or ()) - frozenset(identity.who.their_groups or ())
    return f"`{before.who.user}` is not in {listed(lost)} any more" if lost else ""


def _name_of(identity: Identity) -> tuple[object, ...]:
    who = identity.who
    return who.user, who.kind, who.issuer, who.subject, who.on_behalf_of

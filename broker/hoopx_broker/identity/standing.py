"""Who is not let in any more: users that were revoked, and logins that their provider ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.memberships import Memberships
from hoopx_broker.identity.shared_groups import SharedGroups
from hoopx_broker.storage import events
from hoopx_broker.storage.connection import Connection
from hoopx_broker.storage.store import Store
from hoopx_broker.terms.audit import Event
from hoopx_broker.terms.people import Principal

# Seconds that an ended login is remembered: longer than tokens and refresh tokens that begin with a login live.
KEEP_LOGINS = 60 * 86_400.0

TOPIC = "standing"

Kind = Literal["user", "former", "subject", "nameless", "login"]


class Revocation(Struct, frozen=True):
    """A user is out until restored, a `login` for good; of a subject, what began until `at` (Unix seconds).

    `former` are the logins that a restored user had: what was stolen with a laptop does not come back with its owner.
    `nameless` are a subject's logins that came without the provider's id: which of them was ended, nobody can tell.
    """

    kind: Kind
    issuer: str
    name: str
    at: float
    revoked_by: str
    reason: str


class Standing:
    """Made by `load`. What it says is in memory: it is asked for every call. `on_change` hears after each change."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[tuple[Kind, str, str], Revocation] = {}
        self._listeners: list[Callable[[], None]] = []
        self.memberships = Memberships()
        self.groups = SharedGroups(store, clock, self.memberships)

    @classmethod
    async def load(cls, store: Store, clock: Callable[[], float]) -> Standing:
        standing = cls(store, clock)
        await standing._look()
        store.follow(TOPIC, standing._look)
        standing.groups = await SharedGroups.load(store, clock, standing.memberships)
        return standing

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def check(self, identity: Identity) -> None:
        """Raises `NotAccepted` for whoever is out."""
        revocation = self.against(identity)
        if revocation is not None:
            raise NotAccepted(f"its {revocation.kind} was revoked by `{revocation.revoked_by}`")

    def against(self, identity: Identity) -> Revocation | None:
        """What keeps this identity out: a revocation of the user, of whom they act for, or of the login behind it."""
        login = identity.login
        for name in filter(None, (identity.who.user, identity.who.on_behalf_of)):
            if (found := self._held.get(("user", "", name))) is not None:
                return found
            if (found := self._held.get(("former", "", name))) is not None and login.began_at <= found.at:
                return found
        if login.sid and (found := self._held.get(("login", login.issuer, login.sid))) is not None:
            return found
        kinds: tuple[Kind, ...] = ("subject",) if login.sid else ("subject", "nameless")
        of_subject = (self._held.get((kind, login.issuer, login.subject)) for kind in kinds)
        return next((found for found in of_subject if found is not None and login.began_at <= found.at), None)

    def users(self) -> list[Revocation]:
        """The users that are out, in the order of their names."""
        return sorted((each for each in self._held.values() if each.kind == "user"), key=lambda each: each.name)

    async def revoke(self, revocation: Revocation, by: Principal | None = None) -> None:
        """From now on, and after a restart too: stored first. `by` whom, where somebody did it here."""

        def work(connection: Connection) -> None:
            is_news = revocation.kind != "login" or not _is_known(connection, revocation)
            _write(connection, revocation)
            if is_news:  # whoever has a token of a login could end it again and again, and fill the log
                events.note(connection, _ended(revocation, by))

        await self._store.run(work)
        self._hold(revocation)
        self._tell()

    async def restore(self, user: str, by: Principal | None = None) -> bool:
        """Let a user in again, by logins that begin from now on; False where they were not out."""
        found = self._held.get(("user", "", user))
        if found is None:
            return False
        # Tokens count whole seconds: one of this very second may be the fresh one.
        now = self._clock()
        former = replace(found, kind="former", at=float(int(now) - 1))
        who = events.by(by) if by is not None else {}
        event = events.happened(now, "identity.restored", **who, user=user)

        def work(connection: Connection) -> None:
            _restore(connection, former)
            events.note(connection, event)

        await self._store.run(work)
        self._hold(former)
        self._held = {key: held for key, held in self._held.items() if key != ("user", "", user)}
        return True

    async def logout(self, revocations: Sequence[Revocation], jti: str, expires_at: float) -> bool:
        """End logins as their provider told by a logout token of this id; False where that token came before."""
        now = self._clock()
        fresh = await self._store.run(lambda connection: _log_out(connection, revocations, jti, expires_at, now))
        if fresh:
            for revocation in revocations:
                self._hold(revocation)
            self._tell()
        return fresh

    async def _look(self) -> None:
        """As it is in the state, whichever broker wrote it."""
        long_ago, before = self._clock() - KEEP_LOGINS, self._held
        found = await self._store.run(lambda connection: _read(connection, long_ago))
        if self._held is not before:
            return await self._look()  # something was held meanwhile that may not have been read
        self._held = {(each.kind, each.issuer, each.name): each for each in found}
        if self._held != before:
            self._tell()
        return None

    def _hold(self, revocation: Revocation) -> None:
        key = (revocation.kind, revocation.issuer, revocation.name)
        before = self._held.get(key)
        if before is None or before.at <= revocation.at:
            self._held = {**self._held, key: revocation}

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


_COLUMNS = "kind, issuer, name, at, revoked_by, reason"


def _read(connection: Connection, long_ago: float) -> list[Revocation]:
    connection.execute("DELETE FROM identity_revocations WHERE kind <> 'user' AND at < ?", (long_ago,))
    return [Revocation(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM identity_revocations")]


def _write(connection: Connection, revocation: Revocation) -> None:
    """The later one of the same name stays."""
    connection.tell(TOPIC)
    connection.execute(
        f"INSERT INTO identity_revocations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (kind, issuer, name) DO UPDATE SET at = excluded.at, revoked_by = excluded.revoked_by,"
        " reason = excluded.reason WHERE excluded.at >= identity_revocations.at",
        (
            revocation.kind,
            revocation.issuer,
            revocation.name,
            revocation.at,
            revocation.revoked_by,
            revocation.reason,
        ),
    )


def _restore(connection: Connection, former: Revocation) -> None:
    connection.execute("DELETE FROM identity_revocations WHERE kind = 'user' AND name = ?", (former.name,))
    _write(connection, former)


def _log_out(
    connection: Connection, revocations: Sequence[Revocation], jti: str, expires_at: float, now: float
) -> bool:
    connection.execute("DELETE FROM identity_logouts WHERE expires_at <= ?", (now,))
    issuer = revocations[0].issuer
    seen = "SELECT 1 FROM identity_logouts WHERE issuer = ? AND jti = ?"
    if connection.execute(seen, (issuer, jti)).fetchone() is not None:
        return False
    values = (issuer, jti, expires_at)
    connection.execute("INSERT INTO identity_logouts (issuer, jti, expires_at) VALUES (?, ?, ?)", values)
    for revocation in revocations:
        _write(connection, revocation)
    # What one logout token ends is one login, or all of one subject, under several names.
    events.note(connection, _ended(replace(revocations[0], at=now), None))
    return True


def _is_known(connection: Connection, revocation: Revocation) -> bool:
    asked = "SELECT 1 FROM identity_revocations WHERE kind = ? AND issuer = ? AND name = ?"
    named = (revocation.kind, revocation.issuer, revocation.name)
    return connection.execute(asked, named).fetchone() is not None


def _ended(revocation: Revocation, by: Principal | None) -> Event:
    who = events.by(by) if by is not None else {}
    if revocation.kind == "user":
        facts = {"user": revocation.name, "reason": revocation.reason}
        return events.happened(revocation.at, "identity.revoked", **who, **facts)
    facts = {"issuer": revocation.issuer, revocation.kind: revocation.name, "why": revocation.reason}
    return events.happened(revocation.at, "login.ended", **who, how="issuer", **facts)

"""The clerk: lets people answer through a notifier, as who the broker knows them to be and not as who they seem."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.standing import Standing
from hoopx_broker.notices.linked import Accounts
from hoopx_broker.seams.notifier import Account, Verdict
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.notices import NotLinked
from hoopx_broker.terms.settings import Notify


class LinkedClerk:
    """Of the notifier that `entry` configures. `clock` gives seconds since the Unix epoch."""

    def __init__(
        self,
        entry: Notify,
        accounts: Accounts,
        desk: Desk,
        standing: Standing,
        clock: Callable[[], float],
        public_url: str,
    ) -> None:
        self._entry = entry
        self._accounts = accounts
        self._desk = desk
        self._standing = standing
        self._clock = clock
        self._public_url = public_url

    async def look(self, account: Account, request: str) -> str:
        identity, view = await self._votable(account, request)
        objections = await self._desk.objections([view.id], identity.who)
        if (objection := objections.get(view.id)) is not None:
            raise objection
        return view.target

    async def vote(self, account: Account, request: str, verdict: Verdict, comment: str) -> str:
        """The desk has the last word, as for any other vote."""
        identity, view = await self._votable(account, request)
        return (await self._desk.vote(RequestId(view.id), identity.who, verdict, comment)).state

    async def is_fresh(self, call: str, seconds: float) -> bool:
        return await self._accounts.is_fresh(call, seconds)

    def link_of(self, request: str) -> str:
        """Ids come from outside here: what is none leads to the list."""
        sound = request.replace("_", "").isalnum() and request.isascii() and len(request) <= 64
        return f"{self._public_url}/requests/{request}" if sound else f"{self._public_url}/requests"

    async def invite(self, account: Account) -> str:
        code = await self._accounts.invite(account)
        return f"{self._public_url}/notify/{self._entry.name}/link/{code}"

    async def _votable(self, account: Account, request: str) -> tuple[Identity, RequestView]:
        identity = await self._identity(account)
        view = await self._desk.get(RequestId(request), identity.who)
        if view.kind == "statement":
            raise Denied("a statement is approved by whoever has read it", "open the request, where all of it stands")
        if view.state != "waiting":
            raise BadInput(f"request `{view.id}` is {view.state} already", "there is nothing left to answer")
        return identity, view

    async def _identity(self, account: Account) -> Identity:
        """Who the account is linked to, with the groups that they have by what was heard last. Raises `NotLinked`."""
        found = await self._accounts.find(account)
        if found is None:
            raise NotLinked("this account is linked to nobody that this broker knows", "sign in once, and link it")
        identity = self._standing.memberships.newest(msgspec.json.decode(found, type=Identity))
        try:
            self._standing.check(identity)
        except NotAccepted:
            raise Denied(
                "the person behind this account is not let in any more", "ask whoever runs the broker"
            ) from None
        if self._clock() - identity.issued_at > self._entry.fresh:
            raise NotLinked("it is too long ago that you signed in for your groups to be known", "sign in again")
        return self._standing.memberships.as_now(identity)


def linked_as(identity: Identity) -> bytes:
    """What is kept of whoever links an account. Raises `Denied` for who answers nothing."""
    if identity.who.kind != "human" or identity.who.on_behalf_of is not None:
        raise Denied("only people answer requests", "sign in as yourself")
    return msgspec.json.encode(identity)

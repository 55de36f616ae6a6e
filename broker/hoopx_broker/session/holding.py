"""Hold a statement of a session until people have answered, or its client does not want it any more."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.session import approving
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.matters import effects_of, parameter_lines, whole_statement
from hoopx_broker.session.plea import Agreed, Plea
from hoopx_broker.session.services import Services
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import Denied, HoopxError, Refused, StillPending
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.rulings import Deny

# How long a statement is held for people; the client just waits, and most clients have no limit of their own.
STATEMENT_WAIT_SECONDS = 15 * 60
_AGAIN = "send it again, and it is asked for as it is now"


class Holder:
    """Of one session. Each statement that is held has a request of its own, and no other run of it can use that."""

    def __init__(self, services: Services, opened: Opened, reader: CatalogReader) -> None:
        self._services = services
        self._opened = opened
        self._reader = reader

    async def ask(self, plea: Plea) -> Agreed | Deny:
        """The groups that agreed and the request's id, or why it shall not run."""
        policy = self._services.judge().version  # that asks for it: all that follows takes its time
        try:
            before = await self._reader.definitions(plea.facts)
            matter = await self._matter(plea, policy)
            if self._opened.glass and (agreed := await self._break_glass(plea, matter)) is not None:
                return agreed
            return await self._ask_people(_Held(plea, matter, before))
        except HoopxError as error:
            return Deny(error.message, plea.ruling.rules[0], error.hint, answer=_answer_of(error))

    async def _matter(self, plea: Plea, policy: str) -> Matter:
        services, asked, target = self._services, plea.asked, self._opened.target
        canonical = await services.reader.rewrite(asked.text)
        effects = effects_of(plea.facts)
        if plea.ruling.conditions.estimates:
            expected = await self._reader.estimate(plea, canonical)
            effects = replace(effects, rows=expected.rows, unknown=expected.unknown)
        return Matter(
            "statement",
            target,
            policy,
            whole_statement(asked),
            canonical="\n".join([canonical, *parameter_lines(asked)]) if canonical else "",
            session=self._opened.session,
            effects=effects,
        )

    async def _break_glass(self, plea: Plea, matter: Matter) -> Agreed | None:
        """In a session that was opened so; None where a rule does not let them, and people are asked."""
        who, opened = self._opened.principal, self._opened
        try:
            view = await self._services.desk.break_glass(
                matter, who, plea.ruling, reason=opened.reason, ticket=opened.ticket
            )
        except Denied:
            return None
        plea.say(*approving.broken(view))
        return frozenset(plea.ruling.approvers), view.id

    async def _ask_people(self, held: _Held) -> Agreed | Deny:
        plea, who, desk = held.plea, self._opened.principal, self._services.desk
        needs_reason = plea.ruling.conditions.needs_reason
        reason = self._opened.reason or ("" if needs_reason else plea.ruling.reason)
        request = await desk.ask(
            held.matter,
            who,
            plea.ruling,
            reason=reason,
            ticket=self._opened.ticket,
            wait=STATEMENT_WAIT_SECONDS,
            key=secrets.token_hex(8),  # of its own: nothing else, and no other run of the same, finds this request
        )
        id_ = RequestId(request.id)
        try:
            plea.say(*approving.asked(request))
            answered = await desk.wait(id_, STATEMENT_WAIT_SECONDS)
            _tell_votes(plea, answered)
            if answered.state == "approved" and (why := await self._why_changed(held)):
                raise Denied(why, _AGAIN)
            now = replace(held.matter, policy=self._services.judge().version)
            return await desk.spend(id_, who, now, used_by=self._opened.session), request.id
        except BaseException:  # nobody waits for an answer any more: an approval must not lie there for nobody
            with suppress(HoopxError):  # it is decided otherwise, or the state is gone too
                await desk.cancel(id_, who)
            raise

    async def _why_changed(self, held: _Held) -> str:
        """People have agreed to what it would have done when it was asked for."""
        if why := await held.plea.changed():
            return why
        now = await self._reader.definitions(held.plea.facts)
        return "" if now == held.before else "what it rests on was defined anew while people decided about it"


class _Held(Struct, frozen=True):
    """`before` is how what it rests on was defined."""

    plea: Plea
    matter: Matter
    before: str


def _answer_of(error: HoopxError) -> Literal["", "refused", "pending"]:
    match error:
        case Refused():
            return "refused"
        case StillPending():
            return "pending"
        case _:
            return ""


def _tell_votes(plea: Plea, view: RequestView) -> None:
    told: Iterable[approving.Told] = approving.votes(view)
    for each in told:
        plea.say(*each)

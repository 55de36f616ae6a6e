"""The order in which a session opens: rule, people, lease, catalog, recording. What was made is undone on failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct, field

from hoopx_broker import __version__
from hoopx_broker.api.messages import AskToUnmask, Event, Open, RequestView, Waiting
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.approvals.refusals import people_of
from hoopx_broker.identity.identity import Identity
from hoopx_broker.identity.memberships import human_of, listed
from hoopx_broker.masking.labels import UNREADABLE
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.called_off import CalledOff
from hoopx_broker.session.catalog import CatalogReader
from hoopx_broker.session.court import AskPeople, Bench, Court, Say, Start
from hoopx_broker.session.ground import Ground
from hoopx_broker.session.live import LiveSession, Parts, Sessions
from hoopx_broker.session.matters import whole_statement
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.session.unmasking import Unmaskings, Wish, ask_to_unmask
from hoopx_broker.terms import entries
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, StillPending, Unknown
from hoopx_broker.terms.ids import LeaseId, RequestId, SessionId, new_lease_id, new_session_id
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Lease, Order
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_broker.wire.effects import Judge

# How long the opening of a session may wait for people at most, whatever the CLI asks.
MAX_WAIT_SECONDS = 24 * 3600
# How long a statement is held for people; the client just waits, and most clients have no limit of their own.
STATEMENT_WAIT_SECONDS = 15 * 60
MAX_TOLD = 20  # labels to put right, in one line: anybody who owns a table may write more of them
MAX_REASON = 2_000  # a paragraph, not a document: it stands in every list and notification

OnWaiting = Callable[[Waiting], None]


class Applicant(Struct, frozen=True):
    """Who asks, and from where. `token` is what they showed, for credential sources that want to see it themselves."""

    identity: Identity
    peer: str
    token: Secret | None = None

    @property
    def who(self) -> Principal:
        return self.identity.who


class SessionDenied(Denied):
    """A rule forbids the session. `headline` names the rule, and the reason stands apart."""

    def __init__(self, ruling: Deny, what: str) -> None:
        super().__init__(denial(ruling, what), ruling.hint)
        self.headline = f"rule `{ruling.rule}` forbids {what}"
        self.reason = ruling.reason


class _Permission(Struct, frozen=True):
    """Proof that policy allowed the session: only `_permit` makes it."""

    rules: tuple[str, ...]
    reason: str
    ticket: str
    seconds: int
    request: RequestView | None = None
    shadow: str = ""
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Opening:
    """Opens sessions and sees each to its end."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._grounds = {name: Ground() for name in services.targets}
        self.called_off = CalledOff()
        self.unmaskings = Unmaskings(services.desk, services.stored, sessions, services.crew, services.clock)
        # One for each person with a session, so that many sessions of one do not hold up the others.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def open(
        self, ask: Open, applicant: Applicant, on_waiting: OnWaiting, notify: Callable[[Event], None]
    ) -> LiveSession:
        """Raises a `HoopxError` that says which step failed; nothing is left behind then."""
        target = target_for(self._services, applicant.who, ask.target)
        permission = await self._permit(ask, applicant.who, target, on_waiting)
        _check_standing(self._services, applicant)
        opened = self._describe(applicant, target, permission)
        order = Order(
            LeaseId(opened.lease),
            SessionId(opened.session),
            target,
            applicant.who,
            opened.expires_at,
            applicant.token,
            permission.obligations,
        )
        with self.called_off.heeding(order.lease):
            return await self._open(order, applicant, opened, notify)

    async def _open(
        self, order: Order, applicant: Applicant, opened: entries.Opened, notify: Callable[[Event], None]
    ) -> LiveSession:
        target = order.target
        lease, credential = await self._services.keeper.lease(order)
        login = _login(credential, target)
        reader = CatalogReader(target, login, self._services.crew, self._services.reader)
        try:
            return await self._begin(applicant, opened, target, lease, login, reader, notify)
        except BaseException:
            await reader.close()
            await self._services.keeper.end(lease.id)
            raise

    async def ask_to_unmask(self, ask: AskToUnmask, who: Principal) -> RequestView:
        """File a request to see classes of data raw. Raises a `HoopxError` that says why there is none."""
        services = self._services
        target = target_for(services, who, ask.target)
        catalog = self._grounds[target.name].catalog
        labelled = None
        if catalog is not None:
            labelled = frozenset(catalog.labelled.values())
            target = msgspec.structs.replace(target, classify={**catalog.labelled, **target.classify})
        wish = Wish(who, target, ask, duration_of(ask.duration, target), labelled)
        return await ask_to_unmask(wish, services.judge(), services.desk, int(services.clock()) // 60 * 60)

    async def _permit(self, ask: Open, who: Principal, target: Target, on_waiting: OnWaiting) -> _Permission:
        seconds = duration_of(ask.duration, target)
        circumstances = Circumstances(
            int(self._services.clock()) // 60 * 60, _short(ask.reason), _short(ask.ticket), seconds
        )
        ruling = self._services.judge().opening(who, target, circumstances)
        match ruling:
            case Allow(rules):
                return _Permission(
                    rules, ask.reason, ask.ticket, seconds, shadow=ruling.shadow, obligations=ruling.obligations
                )
            case Deny():
                raise SessionDenied(ruling, f"a session on `{target.name}`")
            case Ask():
                return await self._permit_by_people(ask, who, target, circumstances, ruling, on_waiting)

    async def _permit_by_people(
        self, ask: Open, who: Principal, target: Target, now: Circumstances, ruling: Ask, on_waiting: OnWaiting
    ) -> _Permission:
        desk = self._services.desk
        request = await self._find_request(ask, who, target, now, ruling)
        if request.state == "waiting":
            request = await self._wait(request, ask.wait, on_waiting)
        # An approval for half an hour opens half an hour, unless the person asks for less now.
        seconds = min(ask.duration or request.duration, now.duration)
        matter = session_matter(self._services, target, seconds)
        groups = await desk.spend(RequestId(request.id), who, matter)
        again = self._services.judge().opening(
            who, target, msgspec.structs.replace(now, reason=request.reason, ticket=request.ticket, approvals=groups)
        )
        if not isinstance(again, Allow):
            raise Denied(f"the approval `{request.id}` does not satisfy every rule: {again.reason}", "ask again")
        return _Permission(
            again.rules, request.reason, request.ticket, seconds, request, again.shadow, again.obligations
        )

    async def _find_request(
        self, ask: Open, who: Principal, target: Target, now: Circumstances, ruling: Ask
    ) -> RequestView:
        """The request that the CLI names, an approval that lies ready, one that waits already, or a new one."""
        desk = self._services.desk
        if ask.request is not None:
            return await desk.get(RequestId(ask.request), who)
        fitting = [view for view in await desk.ready(who, target.name) if ask.reason in ("", view.reason)]
        if fitting:
            return fitting[0]
        return await ask_for_session(self._services, who, target, now, ruling, ask.wait)

    async def _wait(self, request: RequestView, seconds: int, on_waiting: OnWaiting) -> RequestView:
        if seconds <= 0:
            raise StillPending(
                f"an approval is needed: request `{request.id}` waits for {people_of(request.approvers)}",
                f"an approver runs `hoopx approve {request.id}`; then try again, or wait with `--wait 15m`",
            )
        on_waiting(Waiting(request.id, request.approvers, request.rules, request.reason, request.expires_at))
        return await self._services.desk.wait(RequestId(request.id), min(seconds, MAX_WAIT_SECONDS))

    def _describe(self, applicant: Applicant, target: Target, permission: _Permission) -> entries.Opened:
        now, request = self._services.clock(), permission.request
        return entries.Opened(
            session=new_session_id(),
            principal=applicant.who,
            target=target.name,
            kind=target.kind,
            database=target.database,
            peer=applicant.peer,
            policy=self._services.judge().version,
            broker=__version__,
            opened_at=now,
            expires_at=now + permission.seconds,
            rules=permission.rules,
            reason=permission.reason,
            ticket=permission.ticket,
            request=request.id if request else None,
            approved_by=tuple(b.approver for b in request.ballots if b.verdict == "approve") if request else (),
            lease=new_lease_id(),
            lease_source=target.source,
            shadow=permission.shadow,
        )

    async def _begin(
        self,
        applicant: Applicant,
        opened: entries.Opened,
        target: Target,
        lease: Lease,
        credential: DatabaseLogin,
        reader: CatalogReader,
        notify: Callable[[Event], None],
    ) -> LiveSession:
        services = self._services
        who = opened.principal
        bench = Bench(
            services.judge,
            services.reader,
            reader.catalog,
            self._asker(who, target),
            self._grounds[target.name],
            services.clock,
            self._turns.setdefault((who.issuer, who.on_behalf_of or who.user), asyncio.Lock()),
            reader.function,
        )
        start = Start(await reader.search_path(), credential.user)
        catalog = await bench.ground.at(int(services.clock()) // 60, bench.read_catalog)
        _warn_of_typos(target, catalog, notify)
        court = Court(bench, who, target, catalog, start, opened.reason, opened.ticket)
        opened = msgspec.structs.replace(opened, backend_user=credential.user)
        recorder = await self._record(opened)
        session = LiveSession(
            Parts(applicant.identity, opened, target, lease.id, credential, court, recorder, reader),
            services.crew,
            self._finish,
            notify,
        )
        try:
            await self.unmaskings.admit(session)
            _check_standing(services, applicant)  # what was revoked before it could be found ends it here
            self.called_off.check(lease.id)
        except BaseException as error:
            self._sessions.remove(session)
            why = error.message if isinstance(error, HoopxError) else "it did not open"
            await self._close_record(opened, recorder, why)
            raise
        return session

    async def _record(self, opened: entries.Opened) -> Recorder:
        """First the row, then the file: after a crash in between, the next start looks for files by their rows."""
        recorder: Recorder | None = None
        try:
            await self._services.stored.add(opened)
            recorder = Recorder.create(
                self._services.recordings, opened, self._services.evidence, self._services.steady
            )
        except BaseException:
            await self._close_record(opened, recorder, "it did not open")
            raise
        return recorder

    async def _close_record(self, opened: entries.Opened, recorder: Recorder | None, reason: str) -> None:
        """Everything is tried, whatever part of it fails."""
        statements, denied = (recorder.statements, recorder.denied) if recorder else (0, 0)
        try:
            if recorder is not None:
                recorder.seal(reason)
        except HoopxError as error:
            self._services.crew.report("recording", error)
        try:
            await self._services.stored.finish(
                SessionId(opened.session), reason, self._services.clock(), statements, denied
            )
        except Unknown:
            pass  # it was not added yet
        except HoopxError as error:
            self._services.crew.report("session row", error)

    def _asker(self, who: Principal, target: Target) -> AskPeople:
        async def ask(asked: Judge, ruling: Ask, say: Say) -> tuple[frozenset[str], str] | Deny:
            return await ask_for_statement(self._services, who, target, asked, ruling, say)

        return ask

    async def _finish(self, session: LiveSession, reason: str) -> bool:
        """Everything that must happen at the end happens, whatever part of it fails; the lease comes first."""
        self._sessions.remove(session)
        try:
            return await self._services.keeper.end(session.lease)
        finally:
            await session.catalog.close()
            await self._close_record(session.opened, session.recorder, reason)


def _login(credential: Credential, target: Target) -> DatabaseLogin:
    """What the configuration makes sure of: sources for databases give logins."""
    if not isinstance(credential, DatabaseLogin):
        raise TypeError(f"`{target.source}` gave `{target.name}` something else than a login")
    return credential


def _check_standing(services: Services, applicant: Applicant) -> None:
    """Raises `Denied` for whoever was revoked, or lost a group, while people were asked or the session was made."""
    identity = applicant.identity
    if services.standing.against(identity) is not None:
        raise Denied(f"the access of `{applicant.who.user}` was revoked", "ask whoever runs the broker")
    if lost := services.standing.memberships.lost(identity):
        raise Denied(f"`{human_of(identity)}` is not in {listed(lost)} any more", "try again with the newest token")


def session_matter(services: Services, target: Target, seconds: int) -> Matter:
    return Matter("session", target.name, services.judge().version, duration=seconds)


async def ask_for_session(
    services: Services, who: Principal, target: Target, now: Circumstances, ruling: Ask, wait: int
) -> RequestView:
    """The request for this session: the one that is already there, or a new one."""
    matter = session_matter(services, target, now.duration)
    return await services.desk.ask(matter, who, ruling, reason=now.reason, ticket=now.ticket, wait=wait)


async def ask_for_statement(
    services: Services, who: Principal, target: Target, asked: Judge, ruling: Ask, say: Say
) -> tuple[frozenset[str], str] | Deny:
    """Hold a statement until people have answered, or its client has gone."""
    rule = ruling.rules[0]
    matter = Matter("statement", target.name, services.judge().version, whole_statement(asked))
    try:
        request = await services.desk.ask(matter, who, ruling, reason=ruling.reason, wait=STATEMENT_WAIT_SECONDS)
    except HoopxError as error:
        return Deny(error.message, rule, error.hint)
    id_ = RequestId(request.id)
    say(
        f"this statement waits for {people_of(request.approvers)}: request `{id_}`",
        f"an approver runs `hoopx approve {id_}`",
    )
    try:
        await services.desk.wait(id_, STATEMENT_WAIT_SECONDS)
        return await services.desk.spend(id_, who, matter), request.id
    except HoopxError as error:
        return Deny(error.message, rule, error.hint)
    except asyncio.CancelledError:  # the client left: nobody waits for an answer any more
        with suppress(HoopxError):  # it is decided already, or the state is gone too
            await services.desk.cancel(id_, who)
        raise


def _warn_of_typos(target: Target, catalog: Catalog, notify: Callable[[Event], None]) -> None:
    """A classified column that is not there hides nothing: it may be misspelt, and the real one shown raw."""
    missing = [str(column) for column, places in catalog.classified.items() if not places]
    if missing:
        notify(Event("warning", f"classified in the configuration, but not in the database: {', '.join(missing)}"))
    labelled = [column for column in catalog.labelled if column not in target.classify]
    unread = [str(column) for column in labelled if catalog.labelled[column] == UNREADABLE]
    if unread:
        more = f" and {len(unread) - MAX_TOLD} more" if len(unread) > MAX_TOLD else ""
        told = ", ".join(unread[:MAX_TOLD]) + more
        notify(Event("warning", f"masked, because the word `hoopx:` of their label names no class: {told}"))


def denial(ruling: Deny, what: str) -> str:
    return f"rule `{ruling.rule}` forbids {what}: {ruling.reason}"


def duration_of(asked: int, target: Target) -> int:
    """Seconds that a session may last. Raises `BadInput`."""
    if asked < 0:
        raise BadInput("a session cannot last less than no time", "give `--for` a duration such as 30m")
    return min(asked or target.ttl, target.ttl)


def _short(text: str) -> str:
    if len(text) > MAX_REASON:
        raise BadInput(f"a reason or ticket has more than {MAX_REASON} characters", "shorten it")
    return text

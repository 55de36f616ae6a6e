"""The order in which a session opens: rule, people, lease, its kind, recording. What was made is undone on failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec
from msgspec import Struct

from hoopx_broker import __version__
from hoopx_broker.api.messages import AskToExtend, AskToUnmask, Open, RequestView
from hoopx_broker.credentials.conclusion import Conclusion
from hoopx_broker.identity.memberships import human_of, listed
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.session import approving, leasing
from hoopx_broker.session.attempt import Applicant, Attempt
from hoopx_broker.session.called_off import CalledOff
from hoopx_broker.session.database_session import DatabaseSession
from hoopx_broker.session.databases import Databases
from hoopx_broker.session.extending import Extensions
from hoopx_broker.session.key_session import KeySession
from hoopx_broker.session.live import LiveSession, Notify, Parts, Sessions, Surface
from hoopx_broker.session.permits import OnWaiting, Permission, permit, permit_again
from hoopx_broker.session.records import begin_record, close_record
from hoopx_broker.session.services import Services, target_for
from hoopx_broker.session.tenure import Tenancy, Tenure
from hoopx_broker.session.unmasking import Unmaskings
from hoopx_broker.terms.entries import Entry, Opened
from hoopx_broker.terms.errors import Denied, HoopxError
from hoopx_broker.terms.ids import LeaseId, RequestId, SessionId, new_lease_id, new_session_id
from hoopx_broker.terms.leases import AwsKeys, Credential, DatabaseLogin, Lease, Order, SshCertificate, name_of
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.targets import Target


class _Draft(Struct, frozen=True):
    """A session that policy allowed and that has its lease, but that nobody can find yet."""

    applicant: Applicant
    opened: Opened
    target: Target
    notify: Notify
    permission: Permission
    order: Order
    lease: Lease


class Opening:
    """Opens sessions and sees each to its end."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._databases = Databases(services)
        self.called_off = CalledOff()
        self.extensions = Extensions(services, sessions)
        self.unmaskings = Unmaskings(services.desk, services.stored, sessions, services.crew, services.clock)

    async def open(self, ask: Open, applicant: Applicant, on_waiting: OnWaiting, notify: Notify) -> LiveSession:
        """Raises a `HoopxError` that says which step failed; nothing is left behind then."""
        target = target_for(self._services, applicant.who, ask.target)
        attempt = Attempt(self._services, ask, applicant, target)
        try:
            attempt.permission = await permit(self._services, ask, applicant.who, target, on_waiting)
            return await self._open(attempt, attempt.permission, notify)
        except HoopxError as error:
            await attempt.failed(error)
            raise

    async def _open(self, attempt: Attempt, permission: Permission, notify: Notify) -> LiveSession:
        applicant, target = attempt.applicant, attempt.target
        _check_standing(self._services, applicant)
        opened = attempt.opened = self._describe(applicant, target, permission)
        order = _order(applicant, opened, target, permission)
        with self.called_off.heeding(order.lease):
            lease, credential = await self._services.keeper.lease(order)
            try:
                draft = _Draft(applicant, opened, target, notify, permission, order, lease)
                return await self._begin(draft, credential)
            except BaseException:
                await self._services.keeper.end(lease.id)
                raise

    async def ask_to_unmask(self, ask: AskToUnmask, who: Principal) -> RequestView:
        """File a request to see classes of data raw. Raises a `HoopxError` that says why there is none."""
        return await self._databases.ask_to_unmask(ask, who)

    async def ask_to_extend(self, ask: AskToExtend, who: Principal) -> RequestView:
        """Let an open session go on, or file the request for it. Raises a `HoopxError` that says why neither."""
        return await self.extensions.ask(ask, who)

    def _describe(self, applicant: Applicant, target: Target, permission: Permission) -> Opened:
        now, request = self._services.clock(), permission.request
        return Opened(
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
            region=target.region,
            account=target.account,
            obligations=permission.obligations,
            glass=request.glass if request else False,
            record=permission.record,
        )

    async def _begin(self, draft: _Draft, credential: Credential) -> LiveSession:
        """The one place that knows the kinds of sessions: each by what its lease gives."""
        match credential:
            case DatabaseLogin():
                return await self._begin_database(draft, credential)
            case AwsKeys():
                lease = draft.lease
                return await self._admit(
                    draft, credential, lambda parts, surface: KeySession(parts, surface, lease, credential)
                )
            case SshCertificate():
                raise TypeError(f"`{draft.target.source}` gave `{draft.target.name}` what no kind of target takes")
            case _:
                assert_never(credential)

    async def _begin_database(self, draft: _Draft, login: DatabaseLogin) -> LiveSession:
        own = await self._databases.prepare(draft.opened, draft.target, login, draft.notify)
        try:
            return await self._admit(draft, login, lambda parts, surface: DatabaseSession(parts, surface, own))
        except BaseException:
            await own.catalog.close()
            raise

    async def _admit(
        self, draft: _Draft, credential: Credential, make: Callable[[Parts, Surface], LiveSession]
    ) -> LiveSession:
        """Recorded, then found by others."""
        services, applicant = self._services, draft.applicant
        opened = msgspec.structs.replace(draft.opened, backend_user=name_of(credential))
        recorder, trace = await begin_record(services, opened)
        try:
            story = _story(draft)
            recorder.write(story)
            trace.hear(story)
            await recorder.settled()
            parts = Parts(applicant.identity, opened, draft.target, LeaseId(opened.lease), recorder, trace.hear)
            session = make(parts, Surface(services.crew, self._finish, draft.notify))
            session.tenure = self._tenure(session, draft)
            await self._spend(draft)
            await self._let_in(session, applicant)
            session.tenure.start(services.crew)
            _tell_of_glass(session, draft.permission)
        except BaseException as error:
            why = error.message if isinstance(error, HoopxError) else "it did not open"
            await self._close(opened, recorder, draft.lease, why)
            raise
        return session

    def _tenure(self, session: LiveSession, draft: _Draft) -> Tenure:
        """Judged again at each renewal, as the person counts then."""
        services, target = self._services, draft.target

        def permit_now() -> dict[str, tuple[str, ...]]:
            _check_standing(services, draft.applicant)
            return permit_again(services, draft.permission, draft.applicant.who, target)

        tenancy = Tenancy(
            order=draft.order,
            lease=draft.lease,
            ends_at=draft.opened.expires_at,
            permit=permit_now,
            record=lambda notice: session.record([notice]),
            warn=session.warn,
            take=session.renew,
            end=session.end_soon,
        )
        return Tenure(services.keeper, tenancy, services.clock)

    async def _spend(self, draft: _Draft) -> None:
        """The last that can fail for good: from here on somebody may use the session. Raises a `HoopxError`."""
        permission, who = draft.permission, draft.applicant.who
        if permission.request is not None and permission.spends is not None:
            request = RequestId(permission.request.id)
            await self._services.desk.spend(request, who, permission.spends, used_by=draft.opened.session)

    async def _let_in(self, session: LiveSession, applicant: Applicant) -> None:
        try:
            await self.unmaskings.admit(session)
            _check_standing(self._services, applicant)  # what was revoked before it could be found ends it here
            self.called_off.check(session.lease)
        except BaseException:
            self._sessions.remove(session)
            raise

    async def _finish(self, session: LiveSession, reason: str) -> Conclusion:
        """Everything that must happen at the end happens, whatever part of it fails; the lease comes first."""
        self._sessions.remove(session)
        if session.tenure is None:
            raise RuntimeError("a session that was never let in cannot end")
        session.tenure.stop()
        try:
            return await self._close(session.opened, session.recorder, session.tenure.lease, reason)
        finally:
            await session.let_go()

    async def _close(self, opened: Opened, recorder: Recorder, lease: Lease, reason: str) -> Conclusion:
        """The recording is sealed when it has told what became of the lease."""
        conclusion = Conclusion(is_revoked=False, why="the broker stopped before its source had answered")
        try:
            conclusion = await self._services.keeper.conclude(lease.id)
            return conclusion
        finally:
            try:
                recorder.write([leasing.concluded(lease, conclusion)])
            except HoopxError as error:
                self._services.crew.report("recording", error)
            await close_record(self._services, opened, recorder, reason)


def _order(applicant: Applicant, opened: Opened, target: Target, permission: Permission) -> Order:
    return Order(
        LeaseId(opened.lease),
        SessionId(opened.session),
        target,
        applicant.who,
        min(opened.expires_at, opened.opened_at + target.ttl),
        applicant.token,
        permission.obligations,
    )


def _story(draft: _Draft) -> list[Entry]:
    """What the recording tells first: the request that opened the session, and its lease."""
    request = draft.permission.request
    return [*(approving.of_opening(request) if request else ()), leasing.issued(draft.lease)]


def _tell_of_glass(session: LiveSession, permission: Permission) -> None:
    request = permission.request
    if request is not None and request.glass:
        text, hint, _ = approving.broken(request)
        session.tell("broken-glass", f"{text}; {hint}" if hint else text)


def _check_standing(services: Services, applicant: Applicant) -> None:
    """Raises `Denied` for whoever was revoked, or lost a group, while people were asked or the session was made."""
    identity = applicant.identity
    if services.standing.against(identity) is not None:
        raise Denied(f"the access of `{applicant.who.user}` was revoked", "ask whoever runs the broker")
    if lost := services.standing.memberships.lost(identity):
        raise Denied(f"`{human_of(identity)}` is not in {listed(lost)} any more", "try again with the newest token")

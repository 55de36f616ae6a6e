"""May this session be opened? Policy says so, and people where policy asks for them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct, field

from hoopx_broker.api.messages import Open, RequestView, Waiting
from hoopx_broker.approvals.matter import Matter
from hoopx_broker.approvals.refusals import people_of
from hoopx_broker.conditions.written import length
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.session.services import Services
from hoopx_broker.terms.entries import Detail
from hoopx_broker.terms.errors import BadInput, Denied, HoopxError, Refused, StillPending
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import Target

# How long the opening of a session may wait for people at most, whatever the CLI asks.
MAX_WAIT_SECONDS = 24 * 3600
MAX_REASON = 2_000  # a paragraph, not a document: it stands in every list and notification

OnWaiting = Callable[[Waiting], None]


class SessionDenied(Denied):
    """A rule forbids the session. `headline` names the `rule`, and the reason stands apart."""

    def __init__(self, ruling: Deny, what: str) -> None:
        super().__init__(denial(ruling, what), ruling.hint)
        self.headline = f"rule `{ruling.rule}` forbids {what}"
        self.reason = ruling.reason
        self.rule = ruling.rule


class Permission(Struct, frozen=True):
    """Proof that policy allowed the session: only `permit` makes it.

    `spends` is what the approval of `request` is used for, once the session is about to begin: until then a target that
    is down, or a client that leaves, costs no approval.
    """

    rules: tuple[str, ...]
    reason: str
    ticket: str
    seconds: int
    request: RequestView | None = None
    shadow: str = ""
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    approvals: frozenset[str] = frozenset()
    spends: Matter | None = None
    record: Detail = "full"


async def permit(services: Services, ask: Open, who: Principal, target: Target, on_waiting: OnWaiting) -> Permission:
    """Raises `SessionDenied`, or a `HoopxError` that says what people answered."""
    minute = int(services.clock()) // 60 * 60
    asked = Circumstances(minute, _short(ask.reason), _short(ask.ticket), duration_of(ask.duration, target))
    ruling, circumstances = judged(services, who, target, asked, is_length_said=ask.duration > 0)
    match ruling:
        case Allow(rules):
            return Permission(
                rules,
                ask.reason,
                ask.ticket,
                circumstances.duration,
                shadow=ruling.shadow,
                obligations=ruling.obligations,
                record=ruling.record,
            )
        case Deny():
            raise SessionDenied(ruling, f"a session on `{target.name}`")
        case Ask():
            if ask.break_glass:
                return await _permit_by_glass(services, ask, who, target, circumstances, ruling)
            return await _permit_by_people(services, ask, who, target, circumstances, ruling, on_waiting)


def judged(
    services: Services, who: Principal, target: Target, asked: Circumstances, *, is_length_said: bool
) -> tuple[Ruling, Circumstances]:
    """What policy says of the opening. Who named no length gets the longest that rules which ask people take."""
    ruling = services.judge().opening(who, target, asked)
    longest = ruling.conditions.longest if isinstance(ruling, Ask) else 0
    if is_length_said or not 0 < longest < asked.duration:
        return ruling, asked
    shorter = msgspec.structs.replace(asked, duration=longest)
    return services.judge().opening(who, target, shorter), shorter


async def _permit_by_people(
    services: Services,
    ask: Open,
    who: Principal,
    target: Target,
    now: Circumstances,
    ruling: Ask,
    on_waiting: OnWaiting,
) -> Permission:
    desk = services.desk
    since = services.clock()
    request = await _find_request(services, ask, who, target, now, ruling)
    if request.state == "waiting":
        request = await _wait(services, request, ask, since, on_waiting)
    # An approval for half an hour opens half an hour, unless the person asks for less now.
    seconds = min(ask.duration or request.duration, now.duration)
    matter = session_matter(services, target, seconds)
    try:
        groups = await desk.check(RequestId(request.id), who, matter)
    except (Denied, Refused, StillPending) as no:
        raise _of_key(no) if ask.key and request.state not in ("waiting", "approved") else no from None
    again = services.judge().opening(
        who, target, msgspec.structs.replace(now, reason=request.reason, ticket=request.ticket, approvals=groups)
    )
    if not isinstance(again, Allow):
        raise Denied(f"the approval `{request.id}` does not satisfy every rule: {again.reason}", "ask again")
    return Permission(
        again.rules, request.reason, request.ticket, seconds, request, again.shadow, again.obligations, groups, matter,
        again.record,
    )  # fmt: skip


def _of_key(no: HoopxError) -> HoopxError:
    """Its key would give the same request again, whatever became of it."""
    return type(no)(no.message, f"{no.hint}, by another key")


async def _permit_by_glass(
    services: Services, ask: Open, who: Principal, target: Target, now: Circumstances, ruling: Ask
) -> Permission:
    """At once, and reviewed afterwards. Raises `Denied` where a rule does not let them."""
    matter = session_matter(services, target, now.duration)
    said = {"reason": now.reason, "ticket": now.ticket, "key": ask.key}
    groups = frozenset(ruling.approvers)
    again = services.judge().opening(who, target, msgspec.structs.replace(now, approvals=groups))
    if not isinstance(again, Allow):
        raise Denied(f"breaking the glass does not satisfy every rule: {again.reason}", "ask for an approval")
    request = await services.desk.break_glass(matter, who, ruling, **said)
    return Permission(
        again.rules, now.reason, now.ticket, now.duration, request, again.shadow, again.obligations, groups,
        record=again.record,
    )  # fmt: skip


def permit_again(
    services: Services, permission: Permission, who: Principal, target: Target
) -> dict[str, tuple[str, ...]]:
    """Would policy still open this session, by the approvals that opened it? Gives what it binds the lease to now.

    Raises `SessionDenied`.
    """
    minute = int(services.clock()) // 60 * 60
    now = Circumstances(minute, permission.reason, permission.ticket, permission.seconds, permission.approvals)
    ruling = services.judge().opening(who, target, now)
    match ruling:
        case Allow():
            return ruling.obligations
        case Deny():
            raise SessionDenied(ruling, f"the session on `{target.name}` now")
        case Ask(rules=rules):
            raise Denied(f"rule `{rules[0]}` asks for another approval by now", "open a new session")


async def _find_request(
    services: Services, ask: Open, who: Principal, target: Target, now: Circumstances, ruling: Ask
) -> RequestView:
    """The request that the CLI names, an approval that lies ready, one that waits already, or a new one."""
    desk = services.desk
    if ask.request is not None:
        return await desk.get(RequestId(ask.request), who)
    if ask.key:
        return await ask_for_session(services, who, target, now, ruling, ask.wait, ask.key)
    fitting = [view for view in await desk.ready(who, target.name) if ask.reason in ("", view.reason)]
    if fitting:
        return fitting[0]
    return await ask_for_session(services, who, target, now, ruling, ask.wait)


async def _wait(
    services: Services, request: RequestView, ask: Open, since: float, on_waiting: OnWaiting
) -> RequestView:
    """`since` is when this opening began: what was filed before, or has a name, is not for it alone."""
    is_fresh = request.created_at >= since and not ask.key
    if ask.wait <= 0:
        raise StillPending(
            f"an approval is needed: request `{request.id}` waits for {people_of(request.approvers)}",
            f"an approver runs `hoopx approve {request.id}`; then try again, or wait with `--wait 15m`",
        )
    told = (request.id, request.approvers, request.rules, request.reason, request.expires_at, request.link)
    on_waiting(Waiting(*told, is_fresh))
    return await services.desk.wait(RequestId(request.id), min(ask.wait, MAX_WAIT_SECONDS))


def session_matter(services: Services, target: Target, seconds: int) -> Matter:
    return Matter("session", target.name, services.judge().version, duration=seconds)


async def ask_for_session(
    services: Services, who: Principal, target: Target, now: Circumstances, ruling: Ask, wait: int, key: str = ""
) -> RequestView:
    """The request for this session: the one that is already there, or a new one."""
    matter = session_matter(services, target, now.duration)
    return await services.desk.ask(matter, who, ruling, reason=now.reason, ticket=now.ticket, wait=wait, key=key)


def denial(ruling: Deny, what: str) -> str:
    return f"rule `{ruling.rule}` forbids {what}: {ruling.reason}"


def duration_of(asked: int, target: Target) -> int:
    """Seconds that a session may last. Raises `BadInput`."""
    if asked < 0:
        raise BadInput("a session cannot last less than no time", "give `--for` a duration such as 30m")
    if asked > target.longest:
        longest = length(target.longest)
        raise BadInput(
            f"`{target.name}` takes at most {longest}, and this asks for {length(asked)}",
            f"give `--for {longest}` or less",
        )
    return asked or target.longest


def _short(text: str) -> str:
    if len(text) > MAX_REASON:
        raise BadInput(f"a reason or ticket has more than {MAX_REASON} characters", "shorten it")
    return text

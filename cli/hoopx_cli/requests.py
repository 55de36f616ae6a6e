"""`hoopx request` and `requests ls/show/wait/cancel/review`."""

from __future__ import annotations

import time
from typing import Annotated

from hoopx_broker.api.messages import AskFor, AskToExtend, AskToUnmask, Past, RequestView
from hoopx_broker.terms.errors import BadInput, HoopxError, Refused, StillPending
from hoopx_cli import names
from hoopx_cli.commands import group
from hoopx_cli.durations import seconds_of, spoken
from hoopx_cli.idempotency import refuse_empty
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option
from hoopx_cli.requested import everything, missing, requester_of
from hoopx_cli.targets import people

app = group("Example: hoopx request prod-db --reason 'ticket 42'")
requests = group("Example: hoopx requests ls\n\nRequests for approval: yours, and those that you may decide.")
app.add(requests, "requests")

RequestId = Annotated[str, Argument(metavar="ID", help="A request's id, as `hoopx requests ls` lists it.")]
Comment = Annotated[str, Option(metavar="TEXT", help="Said to the requester and kept with the vote.")]


@app.command()
def request(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="The target that a session is asked for.")],
    reason: Annotated[str, Option(metavar="TEXT", help="Why; approvers read it.")] = "",
    ticket: Annotated[str, Option(metavar="TICKET", help="The ticket it belongs to.")] = "",
    for_: Annotated[
        str, Option("--for", metavar="DURATION", help="How long the session, or what is unmasked, may last.")
    ] = "",
    wait: Annotated[str, Option(metavar="DURATION", help="Wait for the answer for so long.")] = "",
    key: Annotated[
        str,
        Option(
            metavar="TEXT",
            check=refuse_empty,
            help="Asking again with the same key is the same request: for retries.",
        ),
    ] = "",
    unmask: Annotated[
        str, Option(metavar="CLASS,...", help="Ask to see these classes of masked data raw instead.")
    ] = "",
    extend: Annotated[
        str, Option(metavar="SESSION", help="Ask to let this open session go on for --for longer instead.")
    ] = "",
    break_glass: Annotated[
        bool, Option("--break-glass", help="With --unmask: go through at once, and be reviewed afterwards.")
    ] = False,
) -> int:
    """Example: hoopx request prod-db --reason 'ticket 42' --for 1h --wait 15m

    Ask for approval of a session. Prints the request's id; use it with `hoopx connect --request ID`.
    Without --wait it returns at once; with it, 0 is approved, 13 refused and 12 not answered yet.

    With --unmask, ask to see masked data raw: from the approval on, in all your sessions with the target, for as long
    as --for says; `hoopx requests cancel ID` ends it. With --extend, ask to let an open session go on: it does by
    itself once that is approved.
    """
    patience, duration = seconds_of(wait, "--wait"), seconds_of(for_, "--for")
    if unmask and extend:
        raise BadInput("--unmask and --extend exclude each other", "ask for one of them")
    if break_glass and not unmask:
        raise _glass_is_for_opening(target, extend)
    if unmask:
        classes = _classes(unmask)
        order = AskToUnmask(target, classes, reason, ticket, duration, patience, key, break_glass)
        asked = kit.api.ask_to_unmask(order)
    elif extend:
        _check_target(kit, target, extend)
        asked = kit.api.ask_to_extend(AskToExtend(extend, reason, ticket, duration, patience, key))
    else:
        asked = kit.api.ask(AskFor(target, reason, ticket, duration, patience, key))
    if asked.state == "waiting":
        kit.out.say(f"needs approval by {people(asked.approvers)}; approve with: hoopx approve {asked.id}")
        if asked.link:
            kit.out.say(f"or on its page: {asked.link}")
    if not patience:
        _print(kit, asked)
        return 0
    return _settle(kit, _wait(kit, asked, patience), key)


def _glass_is_for_opening(target: str, session: str) -> BadInput:
    if session:
        return BadInput("no glass is broken to extend a session", "ask without --break-glass, or open a new session")
    hint = f"run: hoopx connect {target} --break-glass --reason WHY"
    return BadInput("--break-glass goes through at once, so there is nothing to ask for", hint)


def _check_target(kit: Kit, target: str, session: str) -> None:
    """A session that was mistyped must not get the time that another was to have."""
    of = kit.api.session(session).target
    if of != target:
        raise BadInput(
            f"session `{session}` is with `{of}`, not with `{target}`", f"hoopx request {of} --extend {session}"
        )


@requests.command()
def ls(
    kit: Kit,
    state: Annotated[str, Option(metavar="STATE", help="waiting, approved, denied, cancelled, expired or used.")] = "",
    review: Annotated[str, Option(metavar="STATE", help="What went through at once: open, accepted or objected.")] = "",
    target: Annotated[str, Option(metavar="TARGET", help="Only those about this target.")] = "",
    requester: Annotated[str, Option(metavar="USER", help="Only what this user asked for.")] = "",
    mine: Annotated[bool, Option("--mine", help="Only yours, and your agents'.")] = False,
    to_decide: Annotated[bool, Option("--to-decide", help="Only those that wait for your vote.")] = False,
    limit: Annotated[int, Option(metavar="N", least=1, most=1_000, help="At most so many.")] = 50,
) -> None:
    """Example: hoopx requests ls --to-decide

    List requests, the newest first.
    """
    wanted = {"state": state, "review": review, "target": target, "requester": requester, "limit": str(limit)}
    flags = {"mine": "true" if mine else "", "to_decide": "true" if to_decide else ""}
    found = kit.api.requests(**wanted, **flags)
    names.keep(kit.settings, "requests", (one.id for one in found))
    names.keep(kit.settings, "users", (one.requester for one in found), adding=True)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    if not found:
        kit.out.say("no requests to show")
        return
    heads = ("request", "state", "kind", "target", "requester", "approvers", "reason")
    kit.out.table(heads, map(_row, found), spare=("approvers", "kind"))


def _row(one: RequestView) -> tuple[str, ...]:
    state = f"{one.state}, review {one.review}" if one.glass else one.state
    return (one.id, state, one.kind, one.target, requester_of(one), people(one.approvers), one.reason)


@requests.command()
def show(kit: Kit, id_: RequestId) -> None:
    """Example: hoopx requests show r_4k2m8q0xyz

    Show one request: who asks for what and why, exactly what would run, and who has voted.
    """
    found = kit.api.request(id_)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    else:
        kit.out.fields(everything(found, past_of(kit, found) if found.review == "open" else None))


@requests.command()
def wait(
    kit: Kit,
    id_: RequestId,
    patience: Annotated[str, Option("--wait", metavar="DURATION", help="Give up after so long.")] = "15m",
) -> int:
    """Example: hoopx requests wait r_4k2m8q0xyz --wait 1h

    Wait until a request is decided: 0 is approved, 13 refused, 12 not answered yet.
    """
    return _settle(kit, _wait(kit, kit.api.request(id_), seconds_of(patience, "--wait")))


@requests.command()
def cancel(kit: Kit, id_: RequestId) -> None:
    """Example: hoopx requests cancel r_4k2m8q0xyz

    Take back a request of yours. What it lets you see raw is masked again at once; those who may approve such a
    request can end it too.
    """
    _print(kit, kit.api.vote(id_, "cancel", ""))


@requests.command()
def review(
    kit: Kit,
    id_: RequestId,
    accept: Annotated[bool, Option("--accept", help="It was right to go through.")] = False,
    object_: Annotated[bool, Option("--object", help="It was not; one objection closes the review.")] = False,
    comment: Comment = "",
) -> None:
    """Example: hoopx requests review r_4k2m8q0xyz --accept --comment 'the shop was down'

    Say what you think of what went through by breaking the glass. `hoopx requests ls --review open` lists what nobody
    has looked at yet, and `hoopx requests show ID` what was done.
    """
    if accept is object_:
        raise BadInput("say what you think of it", "give --accept or --object")
    done = kit.api.review(id_, "accept" if accept else "object", comment)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    more = "; more reviewers have to look at it" if done.review == "open" else ""
    kit.out.say(f"the review of request {done.id} is {done.review}{more}")


def _wait(kit: Kit, request: RequestView, patience: int) -> RequestView:
    """Ask until it is decided or the patience is over; each call waits at the broker, so nobody polls."""
    end = time.monotonic() + patience
    while request.state == "waiting" and (left := end - time.monotonic()) > 0:
        kit.out.status(f"request {request.id} waits for {people(request.approvers)} · {spoken(left)} left")
        request = kit.api.request(request.id, wait=max(1, int(left)))
    kit.out.status("")
    return request


def _settle(kit: Kit, request: RequestView, key: str = "") -> int:
    """Print the request and leave with what became of it."""
    _print(kit, request)
    match request.state:
        case "approved" | "used":
            return 0
        case "denied":
            raise Refused(f"request {request.id} was refused{_by(request)}", _again(request, key))
        case "waiting":
            raise StillPending(
                f"request {request.id} is not answered yet: {missing(request)}", f"hoopx requests wait {request.id}"
            )
        case state:
            raise StillPending(f"request {request.id} is {state}", _again(request, key))


def _again(request: RequestView, key: str) -> str:
    if request.kind == "statement":
        return "run the statement again to ask again"
    more = {"extension": f" --extend {request.session}", "unmask": f" --unmask {','.join(request.classes)}"}
    return f"ask again: hoopx request {request.target}{more.get(request.kind, '')}{' --key ANOTHER' if key else ''}"


def _by(request: RequestView) -> str:
    """` by dora: not today`"""
    said = [ballot for ballot in request.ballots if ballot.verdict == "deny"]
    if not said:
        return ""
    return f" by {said[-1].approver}" + (f": {said[-1].comment}" if said[-1].comment else "")


def _classes(text: str) -> tuple[str, ...]:
    """Raises `BadInput` where a name is missing."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise BadInput(f"`{text}` is no list of classes", "--unmask takes classes of data, as in email,national-id")
    return names


def _print(kit: Kit, request: RequestView) -> None:
    if kit.out.form is Form.JSON:
        kit.out.json(request)
    elif request.id:
        kit.out.text(request.id)
        kit.out.say(f"request {request.id} is {request.state}{effect(request)}")
    else:  # policy allowed it at once
        kit.out.say(f"nobody has to agree{effect(request)}")


def effect(request: RequestView) -> str:
    """What an approval does by itself."""
    match request.kind, request.state:
        case "unmask", "approved":
            what = f"{', '.join(request.classes)} shown raw to {requester_of(request)} on {request.target}"
            return f": {what} until {moment(request.expires_at)}"
        case "extension", "approved" | "used":
            return f": session {request.session} goes on for {spoken(request.duration)} more"
        case _:
            return ""


def past_of(kit: Kit, request: RequestView) -> Past | None:
    """What the requester did lately. Nobody is kept from deciding because it cannot be told."""
    try:
        return kit.api.past(request.id)
    except HoopxError:
        return None

"""`hoopx request`, `requests ls/show/wait/cancel`, `approve` and `deny`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from hoopx_broker.api.messages import AskFor, AskToUnmask, RequestView
from hoopx_broker.terms.errors import BadInput, Refused, StillPending
from hoopx_broker.terms.people import spoken as named
from hoopx_cli import names
from hoopx_cli.commands import BrokerCommand, group
from hoopx_cli.durations import seconds_of, spoken
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form, moment
from hoopx_cli.targets import people

app = group("Example: hoopx request prod-db --reason 'ticket 42'")
requests = group("Example: hoopx requests ls\n\nRequests for approval: yours, and those that you may decide.")
app.add_typer(requests, name="requests")

RequestId = Annotated[str, typer.Argument(metavar="ID", help="A request's id, as `hoopx requests ls` lists it.")]
Comment = Annotated[str, typer.Option(metavar="TEXT", help="Said to the requester and kept with the vote.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before voting.")]


@app.command(cls=BrokerCommand)
def request(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The target that a session is asked for.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; approvers read it.")] = "",
    ticket: Annotated[str, typer.Option(metavar="TEXT", help="The ticket it belongs to.")] = "",
    for_: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long the session, or what is unmasked, may last.")
    ] = "",
    wait: Annotated[str, typer.Option(metavar="DURATION", help="Wait for the answer for so long.")] = "",
    unmask: Annotated[
        str, typer.Option(metavar="CLASS,...", help="Ask to see these classes of masked data raw instead.")
    ] = "",
) -> int:
    """Example: hoopx request prod-db --reason 'ticket 42' --for 1h --wait 15m

    Ask for approval of a session. Prints the request's id; use it with `hoopx connect --request ID`.
    Without --wait it returns at once; with it, 0 is approved, 13 refused and 12 not answered yet.

    With --unmask, ask to see masked data raw: from the approval on, in all your sessions with the target, for as long
    as --for says; `hoopx requests cancel ID` ends it.
    """
    kit = kit_of(context)
    patience, duration = seconds_of(wait, "--wait"), seconds_of(for_, "--for")
    if unmask:
        asked = kit.api.ask_to_unmask(AskToUnmask(target, _classes(unmask), reason, ticket, duration, patience))
    else:
        asked = kit.api.ask(AskFor(target, reason, ticket, duration, patience))
    if asked.state == "waiting":
        kit.out.say(f"needs approval by {people(asked.approvers)}; approve with: hoopx approve {asked.id}")
    if not patience:
        _print(kit, asked)
        return 0
    return _settle(kit, _wait(kit, asked, patience))


@requests.command(cls=BrokerCommand)
def ls(
    context: typer.Context,
    state: Annotated[
        str, typer.Option(metavar="STATE", help="waiting, approved, denied, cancelled, expired or used.")
    ] = "",
) -> None:
    """Example: hoopx requests ls --state waiting

    List requests, the newest first.
    """
    kit = kit_of(context)
    found = sorted(kit.api.requests(state), key=lambda one: one.created_at, reverse=True)
    names.keep(kit.settings.home, "requests", (one.id for one in found))
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    if not found:
        kit.out.say("no requests to show")
        return
    rows = [
        (one.id, one.state, one.kind, one.target, requester_of(one), people(one.approvers), one.reason) for one in found
    ]
    kit.out.table(("request", "state", "kind", "target", "requester", "approvers", "reason"), rows)


@requests.command(cls=BrokerCommand)
def show(context: typer.Context, id_: RequestId) -> None:
    """Example: hoopx requests show r_4k2m8q0xyz

    Show one request: who asks for what and why, and who has voted.
    """
    kit = kit_of(context)
    found = kit.api.request(id_)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    else:
        _describe(kit, found)


@requests.command(cls=BrokerCommand)
def wait(
    context: typer.Context,
    id_: RequestId,
    patience: Annotated[str, typer.Option("--wait", metavar="DURATION", help="Give up after so long.")] = "15m",
) -> int:
    """Example: hoopx requests wait r_4k2m8q0xyz --wait 1h

    Wait until a request is decided: 0 is approved, 13 refused, 12 not answered yet.
    """
    kit = kit_of(context)
    return _settle(kit, _wait(kit, kit.api.request(id_), seconds_of(patience, "--wait")))


@requests.command(cls=BrokerCommand)
def cancel(context: typer.Context, id_: RequestId) -> None:
    """Example: hoopx requests cancel r_4k2m8q0xyz

    Take back a request of yours. What it lets you see raw is masked again at once; those who may approve such a
    request can end it too.
    """
    kit = kit_of(context)
    _print(kit, kit.api.vote(id_, "cancel", ""))


@app.command(cls=BrokerCommand)
def approve(context: typer.Context, id_: RequestId, comment: Comment = "", yes: Yes = False) -> None:
    """Example: hoopx approve r_4k2m8q0xyz --comment 'fine by me'

    Agree to a request, after showing exactly what would run, or be seen.
    """
    _vote(kit_of(context), id_, "approve", comment, is_sure=yes)


@app.command(cls=BrokerCommand)
def deny(context: typer.Context, id_: RequestId, comment: Comment = "", yes: Yes = False) -> None:
    """Example: hoopx deny r_4k2m8q0xyz --comment 'use the replica'

    Refuse a request; one refusal decides it.
    """
    _vote(kit_of(context), id_, "deny", comment, is_sure=yes)


def _vote(kit: Kit, id_: str, verdict: str, comment: str, *, is_sure: bool) -> None:
    """Show what is voted on, ask a person at a terminal once more, and vote on that very request."""
    asked = kit.api.request(id_)
    if kit.out.form is Form.TABLE:
        _describe(kit, asked)
    if not is_sure and sys.stdin.isatty() and not _agrees(kit, verdict):
        raise BadInput("nothing was decided", f"run `hoopx {verdict} {id_} --yes` to vote without being asked")
    voted = kit.api.vote(id_, verdict, comment)
    if kit.out.form is Form.JSON:
        kit.out.json(voted)
    kit.out.say(f"request {voted.id} is {_standing(voted)}{_effect(voted)}")


def _agrees(kit: Kit, verdict: str) -> bool:
    kit.out.ask(f"{verdict} this? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _standing(request: RequestView) -> str:
    return "still waiting for more votes" if request.state == "waiting" else request.state


def _wait(kit: Kit, request: RequestView, patience: int) -> RequestView:
    """Ask until it is decided or the patience is over; each call waits at the broker, so nobody polls."""
    end = time.monotonic() + patience
    while request.state == "waiting" and (left := end - time.monotonic()) > 0:
        kit.out.status(f"request {request.id} waits for {people(request.approvers)} · {spoken(left)} left")
        request = kit.api.request(request.id, wait=max(1, int(left)))
    kit.out.status("")
    return request


def _settle(kit: Kit, request: RequestView) -> int:
    """Print the request and leave with what became of it."""
    _print(kit, request)
    comments = "; ".join(f"{one.approver}: {one.comment}" for one in request.ballots if one.comment)
    match request.state:
        case "approved" | "used":
            return 0
        case "denied":
            raise Refused(f"request {request.id} was refused", comments)
        case "waiting":
            raise StillPending(f"request {request.id} is not answered yet", f"hoopx requests wait {request.id}")
        case state:
            raise StillPending(f"request {request.id} is {state}", f"ask again: hoopx request {request.target}")


def _classes(text: str) -> tuple[str, ...]:
    """Raises `BadInput` where a name is missing."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise BadInput(f"`{text}` is no list of classes", "--unmask takes classes of data, as in email,national-id")
    return names


def _print(kit: Kit, request: RequestView) -> None:
    if kit.out.form is Form.JSON:
        kit.out.json(request)
    else:
        kit.out.text(request.id)
        kit.out.say(f"request {request.id} is {request.state}{_effect(request)}")


def _effect(request: RequestView) -> str:
    """What an approval does by itself."""
    if request.kind != "unmask" or request.state != "approved":
        return ""
    classes = ", ".join(request.classes)
    return f": {classes} shown raw to {requester_of(request)} on {request.target} until {moment(request.expires_at)}"


def requester_of(request: RequestView) -> str:
    return named(request.requester, request.on_behalf_of)


def _asked_for(request: RequestView) -> str:
    if request.kind == "unmask":
        return f"{', '.join(request.classes)} raw on {request.target}"
    return f"a {request.kind} on {request.target}"


def _describe(kit: Kit, request: RequestView) -> None:
    votes = [f"{moment(one.at)} {one.approver}: {one.verdict} {one.comment}".rstrip() for one in request.ballots]
    kit.out.fields(
        [
            ("request", request.id),
            ("state", request.state),
            ("asks for", _asked_for(request)),
            ("for", spoken(request.duration) if request.duration else ""),
            ("requester", requester_of(request)),
            ("reason", request.reason),
            ("ticket", request.ticket),
            ("rules", ", ".join(request.rules)),
            ("approvers", people(request.approvers)),
            ("asked", moment(request.created_at)),
            ("until", moment(request.expires_at)),
            ("votes", "\n".join(votes)),
            ("statement", request.statement),
        ]
    )

"""`hoopx connect`: a session and a local socket for any client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import WITH_CHILD, group
from hoopx_cli.durations import seconds_of
from hoopx_cli.idempotency import refuse_empty
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option
from hoopx_cli.print_forms import Print

if TYPE_CHECKING:
    from hoopx_cli.doors import Door
    from hoopx_cli.front import AnyHeld

# What the broker is asked for: a session outlives a change of networks. It has its own bound.
GRACE_SECONDS = 10

app = group("Example: hoopx connect prod-db")

Reason = Annotated[str, Option(metavar="TEXT", help="Why; it is recorded, and approvers read it.")]
Ticket = Annotated[str, Option(metavar="TICKET", help="The ticket it belongs to.")]
For = Annotated[str, Option("--for", metavar="DURATION", help="How long the session may last.")]
Wait = Annotated[str, Option(metavar="DURATION", help="Wait for an approval for so long; else leave.")]
Request = Annotated[str, Option(metavar="ID", help="Use this approved request.")]
Key = Annotated[
    str,
    Option(metavar="TEXT", check=refuse_empty, help="Asking again with the same key is the same request."),
]
Glass = Annotated[
    bool, Option("--break-glass", help="Go through at once where rules let you, and be reviewed afterwards.")
]
Printed = Annotated[Print, Option("--print", help="Print one way in alone.")]


@app.command(WITH_CHILD)
def connect(
    kit: Kit,
    targets: Annotated[list[str], Argument(metavar="TARGET...", help="Targets, as `hoopx ls` lists them.")],
    port: Annotated[str, Option(metavar="PORT", help="Listen on this port of 127.0.0.1.")] = "",
    socket: Annotated[str, Option(metavar="PATH", help="Listen on a socket file that only you can use.")] = "",
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Annotated[str, Option(metavar="DURATION", help="Wait for an approval for so long.")] = "15m",
    request: Request = "",
    key: Key = "",
    break_glass: Glass = False,
    print_: Printed = Print.ALL,
    background: Annotated[bool, Option("--background", help="Stay open behind the terminal.")] = False,
) -> int:
    """Example: hoopx connect prod-db --reason 'ticket 42'

    Open a session and listen on a local socket for any client. Prints ways in (a connection string, a psql line, one
    for JDBC, variables for a shell), and stays in front; Ctrl-C ends the session, its credential and its connections.
    Several targets open together or not at all. With --background it returns once they are open: `hoopx status` shows
    them, `hoopx disconnect` ends them. In a shell: eval "$(hoopx connect prod-db --background --print env)"
    With `-- CMD...` it runs CMD with the session's environment instead, and returns its exit code.
    """
    check_ways(request, key, is_glass=break_glass)
    _check_targets(targets, request=request, key=key, place=port or socket)
    # The tunnel and the event loop cost 120 ms of imports, which a wrong option need not wait for.
    from hoopx_cli import front
    from hoopx_cli.doors import Door

    door = Door(*_door(port, socket))
    length, patience = seconds_of(for_, "--for"), seconds_of(wait, "--wait")
    ways = (request or None, break_glass, key, GRACE_SECONDS, True)
    orders = [Open(target, reason, ticket, length, patience, *ways) for target in targets]
    if kit.child is not None:
        if background or print_ is not Print.ALL:
            raise BadInput("a command takes the session's environment itself", "leave out --background and --print")
        command = command_of(kit)
        return unrunnable(kit, command) or front.stay(kit, orders, door, front.run_child(kit, command))
    if background:
        from hoopx_cli.background_start import begin

        return begin(kit, orders, door, print_)
    return _stay_in_front(kit, orders, door, print_)


def _stay_in_front(kit: Kit, orders: Sequence[Open], door: Door, what: Print) -> int:
    from hoopx_cli import front, vigil

    was_open = False

    async def use(held: Sequence[front.AnyHeld], signals: object) -> int:
        nonlocal was_open
        was_open = True
        announce(kit, held, what)
        return await vigil.watch(kit.out, held)

    code = front.stay(kit, orders, door, use)
    if was_open and code:
        names = " and ".join(f"`{order.target}`" for order in orders)
        kit.out.say(f"the session with {names} is over" if len(orders) == 1 else f"the sessions with {names} are over")
    return code


def _check_targets(targets: Sequence[str], *, request: str, key: str, place: str) -> None:
    """Raises `BadInput` where several are asked for by what is for one."""
    from hoopx_cli.access import demand_distinct

    demand_distinct(targets)
    if len(targets) > 1 and (request or key or place):
        named = "--request" if request else "--key" if key else "--port or --socket"
        raise BadInput(f"{named} is for one target", "run one command for each target")


def check_ways(request: str, key: str, *, is_glass: bool) -> None:
    """Raises `BadInput` where it is not clear by which approval a session is to be opened."""
    if request and (key or is_glass):
        other = "--key" if key else "--break-glass"
        raise BadInput(f"--request names an approval, and {other} asks for another", "give one of them")


def command_of(kit: Kit) -> tuple[str, ...]:
    """What stands behind `--`. Raises `BadInput` where nothing does."""
    if not kit.child:
        raise BadInput("there is no command to run", "put it behind `--`: hoopx exec prod-db -- psql -c 'select 1'")
    return kit.child


def unrunnable(kit: Kit, command: Sequence[str]) -> int:
    """What a shell returns for a command that is not there, or cannot be executed, and 0 for one that can.

    Asked before anything else: nobody is to approve, and nothing to be minted for, what cannot run.
    """
    from hoopx_cli import child

    try:
        child.demand(command, kit.environ)
    except child.NotStarted as error:
        kit.out.error(error.message, error.hint)
        return error.code
    return 0


def _door(port: str, socket: str) -> tuple[int | None, Path | None]:
    from hoopx_cli.sockets import port_of

    if port and socket:
        raise BadInput("--port and --socket exclude each other", "give one of them")
    return port_of(port) if port else None, Path(socket) if socket else None


def announce(kit: Kit, held: Sequence[AnyHeld], what: Print) -> None:
    """The ways in are data; the rest is for people."""
    from hoopx_cli.printed import all_lines

    if kit.out.form is Form.JSON:
        for one in held:
            kit.out.json(one.access.document())
    else:
        for line in all_lines([one.access for one in held], what):
            kit.out.data(line)
    for one in held:
        _tell_of(kit, one)


def _tell_of(kit: Kit, held: AnyHeld) -> None:
    from hoopx_cli.front import HeldAws

    opened = held.session.opened
    if isinstance(held, HeldAws):
        kit.out.say("for programs of AWS, by these variables, or by lines in ~/.aws/config:")
        profile = f"  [profile {opened.target}]\n  region = {held.access.region}"
        kit.out.say(f"{profile}\n  credential_process = hoopx credentials {opened.target}")
    kit.out.say(f"session {opened.session} with `{opened.target}` is open until {moment(opened.expires_at)}")
    if opened.masked:
        kit.out.say(f"masked: {', '.join(opened.masked)}")

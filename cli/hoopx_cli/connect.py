"""`hoopx connect`: a session and a local socket for any client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import CommandWithChild, group
from hoopx_cli.durations import seconds_of
from hoopx_cli.idempotency import refuse_empty
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form, moment

app = group("Example: hoopx connect prod-db")

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded, and approvers read it.")]
Ticket = Annotated[str, typer.Option(metavar="TEXT", help="The ticket it belongs to.")]
For = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long the session may last.")]
Wait = Annotated[str, typer.Option(metavar="DURATION", help="Wait for an approval for so long; else leave.")]
Request = Annotated[str, typer.Option(metavar="ID", help="Use this approved request.")]
Key = Annotated[
    str,
    typer.Option(metavar="TEXT", callback=refuse_empty, help="Asking again with the same key is the same request."),
]
Glass = Annotated[
    bool, typer.Option("--break-glass", help="Go through at once where rules let you, and be reviewed afterwards.")
]


@app.command(cls=CommandWithChild)
def connect(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
    port: Annotated[str, typer.Option(metavar="PORT", help="Listen on this port of 127.0.0.1.")] = "",
    socket: Annotated[str, typer.Option(metavar="PATH", help="Listen on a socket file that only you can use.")] = "",
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Annotated[str, typer.Option(metavar="DURATION", help="Wait for an approval for so long.")] = "15m",
    request: Request = "",
    key: Key = "",
    break_glass: Glass = False,
) -> int:
    """Example: hoopx connect prod-db --reason 'ticket 42'

    Open a session and listen on a local socket for any client. Prints a connection string and a psql line, and stays
    in front; Ctrl-C ends the session, its credential and its connections.
    With `-- CMD...` it runs CMD with the session's environment instead, and returns its exit code.
    """
    kit = kit_of(context)
    # The tunnel and the event loop cost 120 ms of imports, which a wrong option need not wait for.
    from hoopx_cli import front
    from hoopx_cli.doors import Door

    door = _door(port, socket)
    length, patience = seconds_of(for_, "--for"), seconds_of(wait, "--wait")
    check_ways(request, key, is_glass=break_glass)
    order = Open(target, reason, ticket, length, patience, request or None, break_glass, key)
    if kit.child is not None:
        return front.stay(kit, [order], Door(*door), front.run_child(kit, command_of(kit)))

    was_open = False

    async def use(held: Sequence[front.AnyHeld], signals: object) -> int:
        nonlocal was_open
        was_open = True
        _announce(kit, held[0])
        return await front.watch(kit, held[0])

    code = front.stay(kit, [order], Door(*door), use)
    if was_open and code:
        kit.out.say(f"the session with `{target}` is over")
    return code


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


def _door(port: str, socket: str) -> tuple[int | None, Path | None]:
    from hoopx_cli.sockets import port_of

    if port and socket:
        raise BadInput("--port and --socket exclude each other", "give one of them")
    return port_of(port) if port else None, Path(socket) if socket else None


def _announce(kit: Kit, held: object) -> None:
    from hoopx_cli.front import Held, HeldAws

    assert isinstance(held, Held | HeldAws)
    opened = held.session.opened
    if kit.out.form is Form.JSON:
        kit.out.json(held.access.document())
    else:
        for line in held.access.lines():
            kit.out.data(line)
    if isinstance(held, HeldAws):
        kit.out.say("for programs of AWS, by these variables, or by lines in ~/.aws/config:")
        profile = f"  [profile {opened.target}]\n  region = {held.access.region}"
        kit.out.say(f"{profile}\n  credential_process = hoopx credentials {opened.target}")
    kit.out.say(f"session {opened.session} with `{opened.target}` is open until {moment(opened.expires_at)}")
    if opened.masked:
        kit.out.say(f"masked: {', '.join(opened.masked)}")

"""`hoopx exec`: a command with sessions to one or more targets, for scripts and jobs."""

from __future__ import annotations

from typing import Annotated

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.access import demand_distinct
from hoopx_cli.commands import WITH_CHILD, group
from hoopx_cli.connect import For, Glass, Key, Reason, Request, Ticket, Wait, check_ways, command_of, unrunnable
from hoopx_cli.durations import seconds_of
from hoopx_cli.kit import Kit
from hoopx_cli.places import Argument, Option

app = group("Example: hoopx exec prod-db -- psql -c 'select 1'")


@app.command(WITH_CHILD, name="exec")
def exec_(
    kit: Kit,
    targets: Annotated[list[str], Argument(metavar="TARGET...", help="Targets to open sessions with.")],
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Wait = "",
    request: Request = "",
    key: Key = "",
    break_glass: Glass = False,
    timeout: Annotated[
        str, Option(metavar="DURATION", help="Stop the command after so long: TERM, then KILL; leaves with 124.")
    ] = "",
    events: Annotated[
        str, Option(metavar="FILE", help="Write what happens there, a JSON object a line; a FIFO will do.")
    ] = "",
) -> int:
    """Example: hoopx exec prod-db -- psql -c 'select 1'

    Run a command with PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and DATABASE_URL set, and <TARGET>_DATABASE_URL
    for each of several targets. With an AWS account it has that account's keys in AWS_* and no others; with several,
    each is a profile of its target's name. Input, output, signals and the exit code are the command's own.
    Where an approval is needed it leaves with 12 and the request's id, unless --wait is given: then it goes on when
    that is given, and leaves with 13 when it is refused. A job that is tried again asks once with a --key.
    """
    command = command_of(kit)
    demand_distinct(targets)
    check_ways(request, key, is_glass=break_glass)
    if (request or key) and len(targets) > 1:
        named = "--request" if request else "--key"
        raise BadInput(f"{named} is for one target", "run one command for each target")
    # The tunnel and the event loop cost 120 ms of imports, which a wrong option need not wait for.
    from hoopx_cli import front
    from hoopx_cli.diary import kept_in
    from hoopx_cli.doors import Door

    limit = seconds_of(timeout, "--timeout")
    if timeout and not limit:
        raise BadInput("--timeout 0 leaves no time for anything", "give it a duration like 90s or 15m")
    length, patience = seconds_of(for_, "--for"), seconds_of(wait, "--wait")
    orders = [Open(target, reason, ticket, length, patience, request or None, break_glass, key) for target in targets]
    if code := unrunnable(kit, command):
        return code
    with kept_in(events, kit.out.insist) as diary:
        return front.stay(kit, orders, Door(), front.run_child(kit, command, diary, limit), diary)

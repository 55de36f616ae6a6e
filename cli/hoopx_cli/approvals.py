"""`hoopx approve` and `deny`: what would be done is shown, and then voted on."""

from __future__ import annotations

import sys
from typing import Annotated

from hoopx_broker.api.messages import RequestView
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.places import Argument, Option
from hoopx_cli.requested import everything, missing
from hoopx_cli.requests import Comment, RequestId, effect, past_of

app = group("Example: hoopx approve r_4k2m8q0xyz")

Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask before voting.")]


@app.command()
def approve(
    kit: Kit,
    id_: Annotated[str, Argument(metavar="[ID]", help="A request's id; none with --watch.")] = "",
    comment: Comment = "",
    yes: Yes = False,
    watch: Annotated[
        bool, Option("--watch", help="Show all that wait for you as they come, and answer there.")
    ] = False,
) -> int:
    """Example: hoopx approve r_4k2m8q0xyz --comment 'fine by me'

    Agree to a request, after showing exactly what would run, or be seen.

    With --watch, stay and show what waits for you as it comes: move with the arrows, open with Enter, approve with `a`
    and deny with `d`, with a comment; `q` leaves. Where no terminal is, each new request is a line (an object with
    `-o json`), until Ctrl-C.
    """
    if watch:
        if id_ or comment or yes:
            raise BadInput("--watch shows all that wait for you", "leave out the request, --comment and --yes")
        from hoopx_cli.watch import watch as watch_all

        return watch_all(kit)
    if not id_:
        raise BadInput("`ID` is missing", "see `hoopx approve --help`")
    _vote(kit, id_, "approve", comment, is_sure=yes)
    return 0


@app.command()
def deny(kit: Kit, id_: RequestId, comment: Comment = "", yes: Yes = False) -> None:
    """Example: hoopx deny r_4k2m8q0xyz --comment 'use the replica'

    Refuse a request; one refusal decides it.
    """
    _vote(kit, id_, "deny", comment, is_sure=yes)


def _vote(kit: Kit, id_: str, verdict: str, comment: str, *, is_sure: bool) -> None:
    """Show what is voted on, ask a person at a terminal once more, and vote on that very request."""
    asked = kit.api.request(id_)
    if kit.out.form is Form.TABLE:
        kit.out.fields(everything(asked, past_of(kit, asked)))
    is_asking = not is_sure and asked.state == "waiting" and sys.stdin.isatty()
    if is_asking and kit.out.form is Form.JSON:  # a person is asked, so a person is shown it
        for name, value in everything(asked, past_of(kit, asked)):
            kit.out.insist(f"{name}: {value}")
    if is_asking and not _agrees(kit, verdict):
        raise BadInput("nothing was decided", f"run `hoopx {verdict} {id_} --yes` to vote without being asked")
    voted = kit.api.vote(id_, verdict, comment)
    if kit.out.form is Form.JSON:
        kit.out.json(voted)
    kit.out.say(f"request {voted.id} is {_standing(voted)}{effect(voted)}")


def _agrees(kit: Kit, verdict: str) -> bool:
    kit.out.ask(f"{verdict} this? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _standing(request: RequestView) -> str:
    return f"still waiting: {missing(request)}" if request.state == "waiting" else request.state

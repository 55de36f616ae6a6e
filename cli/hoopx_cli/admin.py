"""`hoopx admin`: who is let in."""

from __future__ import annotations

from typing import Annotated

import typer

from hoopx_cli.commands import BrokerCommand, group
from hoopx_cli.kit import kit_of
from hoopx_cli.output import Form, moment

app = group("Example: hoopx admin revoke ann")
admin = group("Example: hoopx admin revoke ann\n\nShut users out, and let them in again.")
app.add_typer(admin, name="admin")

User = Annotated[str, typer.Argument(metavar="USER", help="A user's name, as `hoopx whoami` shows it.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the revocation.")]


@admin.command(cls=BrokerCommand)
def revoke(context: typer.Context, user: User, reason: Reason = "") -> None:
    """Example: hoopx admin revoke ann --reason 'laptop stolen'

    End all sessions of a user, and of agents on their behalf, and let nobody of this name in until restored.
    Everybody may do it to themselves.
    """
    kit = kit_of(context)
    done = kit.api.revoke(user, reason)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
        return
    ended = "1 session ends" if done.sessions == 1 else f"{done.sessions} sessions end"
    kit.out.say(f"`{user}` is revoked, {ended}; `hoopx admin restore {user}` lets them in again")


@admin.command(cls=BrokerCommand)
def restore(context: typer.Context, user: User) -> None:
    """Example: hoopx admin restore ann

    Let a revoked user in again, by a fresh login: the logins that they had stay ended.
    """
    kit = kit_of(context)
    done = kit.api.restore(user)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    else:
        kit.out.say(f"`{user}` is let in again, by a fresh login")


@admin.command(cls=BrokerCommand)
def revoked(context: typer.Context) -> None:
    """Example: hoopx admin revoked

    List the users that are shut out.
    """
    kit = kit_of(context)
    found = kit.api.revoked()
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    elif not found:
        kit.out.say("nobody is shut out")
    else:
        kit.out.table(("user", "since", "by", "reason"), [(e.user, moment(e.at), e.by, e.reason) for e in found])

"""`hoopx admin`: who is let in."""

from __future__ import annotations

from typing import Annotated

from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option

app = group("Example: hoopx admin revoke ann")
admin = group("Example: hoopx admin revoke ann\n\nShut users out, and let them in again.")
app.add(admin, "admin")

User = Annotated[str, Argument(metavar="USER", help="A user's name, as `hoopx whoami` shows it.")]
Reason = Annotated[str, Option(metavar="TEXT", help="Why; it is kept with the revocation.")]


@admin.command()
def revoke(kit: Kit, user: User, reason: Reason = "") -> None:
    """Example: hoopx admin revoke ann --reason 'laptop stolen'

    End all sessions of a user, and of agents on their behalf, and let nobody of this name in until restored.
    Everybody may do it to themselves.
    """
    done = kit.api.revoke(user, reason)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
        return
    ended = "1 session ends" if done.sessions == 1 else f"{done.sessions} sessions end"
    kit.out.say(f"`{user}` is revoked, {ended}; `hoopx admin restore {user}` lets them in again")


@admin.command()
def restore(kit: Kit, user: User) -> None:
    """Example: hoopx admin restore ann

    Let a revoked user in again, by a fresh login: the logins that they had stay ended.
    """
    done = kit.api.restore(user)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    else:
        kit.out.say(f"`{user}` is let in again, by a fresh login")


@admin.command()
def revoked(kit: Kit) -> None:
    """Example: hoopx admin revoked

    List the users that are shut out.
    """
    found = kit.api.revoked()
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    elif not found:
        kit.out.say("nobody is shut out")
    else:
        kit.out.table(("user", "since", "by", "reason"), [(e.user, moment(e.at), e.by, e.reason) for e in found])

"""`hoopx accounts`: who is logged in where on this machine, and whom commands act as."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.commands import ANONYMOUS, LOCAL, group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument
from hoopx_cli.roster import Account, Accounts
from hoopx_cli.settings import Remembered, remember

app = group("Example: hoopx login")
accounts = group("Example: hoopx accounts\n\nWho is logged in where on this machine. Without a command: the list.")
app.add(accounts, "accounts")


class Listed(Struct, frozen=True):
    """One line of `hoopx accounts -o json`. `expires_at` is the end of the token, renewed by itself if `renews`."""

    broker: str
    user: str
    is_current: bool
    issuer: str
    expires_at: float
    renews: bool
    kept_in: str


@accounts.itself(LOCAL)
@accounts.command(LOCAL)
def ls(kit: Kit) -> None:
    """Example: hoopx accounts ls

    List the accounts at every broker. `*` marks whom commands act as there. No network and no keyring is asked.
    """
    every = [
        _listed(broker, user, account, known)
        for broker, known in sorted(kit.logins.listed().items(), key=lambda each: each[0] != kit.settings.broker)
        for user, account in sorted(known.accounts.items())
    ]
    if kit.out.form is Form.JSON:
        kit.out.json(every)
    elif not every:
        kit.out.say("nobody is logged in here; log in with `hoopx login`")
    else:
        kit.out.table(("", "account", "broker", "until", "kept in"), map(_row, every))


@accounts.command(ANONYMOUS)
def use(
    kit: Kit,
    user: Annotated[str, Argument(metavar="USER", help="An account, as `hoopx accounts` lists it.")],
) -> None:
    """Example: hoopx accounts use ann@example.com

    Act as that account from now on. The broker of --broker becomes the one that commands mean.
    """
    broker = kit.settings.broker
    with kit.logins.held():
        known = kit.logins.listed().get(broker, Accounts())
        if user not in known.accounts:
            raise _unknown(kit, user, known)
        kit.logins.choose(broker, user)
    remember(kit.settings.home, Remembered(broker, kit.settings.ca))
    kit.out.say(f"commands act as {user} at {broker}")


def _listed(broker: str, user: str, account: Account, known: Accounts) -> Listed:
    is_current = known.current == user
    return Listed(broker, user, is_current, account.issuer, account.expires_at, account.renews, account.place)


def _row(one: Listed) -> tuple[str, ...]:
    until = "renews itself" if one.renews else moment(one.expires_at)
    return "*" if one.is_current else "", one.user or "(not named yet)", one.broker, until, one.kept_in


def _unknown(kit: Kit, user: str, known: Accounts) -> BadInput:
    elsewhere = [broker for broker, there in kit.logins.listed().items() if user in there.accounts]
    if elsewhere:
        hint = f"that account is at {', '.join(elsewhere)}: name it by --broker"
    else:
        hint = f"kept are: {', '.join(known.accounts)}" if known.accounts else "log in with `hoopx login`"
    return BadInput(f"no login of `{user}` is kept for {kit.settings.broker}", hint)

"""`hoopx login`, `logout`, `whoami` and `token`."""

from __future__ import annotations

from typing import Annotated

import typer

from hoopx_broker.api.messages import SignIn
from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_cli.commands import BrokerCommand, group
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form, moment
from hoopx_cli.settings import Remembered, remember

app = group("Example: hoopx login")


@app.command(cls=BrokerCommand)
def login(
    context: typer.Context,
    issuer: Annotated[
        str, typer.Option(metavar="URL", help="Which identity provider, where the broker takes several.")
    ] = "",
) -> None:
    """Example: hoopx login --broker https://broker.example.com

    Sign in by your identity provider: shows a code to type on any device. Works over SSH.
    The broker and how it was trusted are remembered for the next commands.
    """
    kit = kit_of(context)
    from hoopx_cli.signin import issuer_trust, sign_in

    broker = kit.settings.broker
    asked = _provider(kit, issuer)
    signed_in = sign_in(asked, issuer_trust(broker, kit.tls)(asked.issuer), lambda prompt: _show(kit, prompt))
    kit.logins.put(broker, signed_in)
    remember(kit.settings.home, Remembered(broker, kit.settings.ca))
    if kit.settings.token is not None:
        kit.out.insist("HOOPX_TOKEN is set and wins over this login until it is unset")
    else:
        kit.out.say(f"logged in to {broker} as {kit.api.whoami().user}")


@app.command(cls=BrokerCommand)
def logout(context: typer.Context) -> None:
    """Example: hoopx logout

    Sign out: the provider is asked to forget the login, and this machine forgets it in any case.
    """
    kit = kit_of(context)
    from hoopx_cli.signin import issuer_trust, sign_out

    broker = kit.settings.broker
    kept = kit.logins.get(broker)
    if kept is None:
        kit.out.say(f"you were not logged in to {broker}")
        return
    try:
        was_told = sign_out(kept, issuer_trust(broker, kit.tls)(kept.issuer))
    except HoopxError:
        was_told = False
    kit.logins.forget(broker)
    kit.out.say(f"logged out of {broker}")
    if not was_told:
        kit.out.insist("the identity provider could not be told; its login ends by itself")


@app.command(cls=BrokerCommand)
def whoami(context: typer.Context) -> None:
    """Example: hoopx whoami

    Show as whom the broker knows you, with which groups and until when.
    """
    kit = kit_of(context)
    me = kit.api.whoami()
    if kit.out.form is Form.JSON:
        kit.out.json(me)
        return
    kit.out.fields(
        [
            ("user", me.user),
            ("kind", me.kind),
            ("groups", ", ".join(me.groups)),
            ("on behalf of", me.on_behalf_of or ""),
            ("issuer", me.issuer),
            ("until", moment(me.token_expires_at)),
            ("broker", kit.settings.broker),
        ]
    )


@app.command(cls=BrokerCommand)
def token(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
) -> None:
    """Example: PGPASSWORD=$(hoopx token prod-db) psql "host=broker.example.com port=8443 user=ann dbname=prod-db sslmode=require"

    Print a password for clients that connect to the broker without hoopx. It is for one target, opens one session
    there, and must do so within five minutes. Until then it acts as you: hand it to a program and never write it down.
    """  # noqa: E501 - the example is one line for a shell
    kit = kit_of(context)
    given = kit.api.give_pass(target)
    if kit.out.form is Form.JSON:
        kit.out.json(given)
    else:
        kit.out.data(given.token)


def _provider(kit: Kit, issuer: str) -> SignIn:
    offered = kit.api.about().sign_in
    if not offered:
        message = "this broker takes no people, only jobs that bring a token"
        raise BadInput(message, "give the token in HOOPX_TOKEN, or add an identity provider to the broker")
    named = [one for one in offered if one.issuer == issuer] if issuer else list(offered)
    if not named:
        known = ", ".join(one.issuer for one in offered)
        raise BadInput(f"the broker does not take `{issuer}`", f"it takes: {known}")
    if len(named) > 1:
        known = ", ".join(one.issuer for one in named)
        raise BadInput("the broker takes several identity providers", f"choose by --issuer: {known}")
    return named[0]


def _show(kit: Kit, prompt: object) -> None:
    from hoopx_cli.signin import Prompt

    assert isinstance(prompt, Prompt)
    kit.out.insist(f"open {prompt.url} and type the code: {prompt.code}")
    if prompt.complete_url:
        kit.out.insist(f"  or open {prompt.complete_url} and compare the code")
    kit.out.say("  waiting for you to do so; Ctrl-C to leave it")

"""`hoopx login`, `logout`, `whoami` and `token`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from msgspec.structs import replace

from hoopx_broker.api.messages import SignIn
from hoopx_broker.terms.errors import BadInput, HoopxError
from hoopx_cli.api import Api
from hoopx_cli.caller import credential_of
from hoopx_cli.commands import ANONYMOUS, group
from hoopx_cli.inert import width
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option
from hoopx_cli.settings import Remembered, remember

if TYPE_CHECKING:
    from hoopx_cli.keyring import Login
    from hoopx_cli.signin import Prompt

app = group("Example: hoopx login")


@app.command(ANONYMOUS)
def login(
    kit: Kit,
    issuer: Annotated[str, Option(metavar="URL", help="Which identity provider, where the broker takes several.")] = "",
    browser: Annotated[bool, Option("--browser", help="Sign in by a browser on this machine, without a code.")] = False,
    no_browser: Annotated[
        bool, Option("--no-browser", help="Open no browser: only show address, code and QR code.")
    ] = False,
) -> None:
    """Example: hoopx login --broker https://broker.example.com

    Sign in by your identity provider: shows a code to type on any device. Works over SSH.
    Where this machine has a desktop, a browser is opened at the page for the code, unless --no-browser.
    The broker and how it was trusted are remembered for the next commands. An account beside those that are kept
    becomes the current one; `hoopx accounts` lists them.
    """
    if browser and no_browser:
        raise BadInput("--browser and --no-browser contradict each other", "give one of them, or none")
    asked = _provider(kit, issuer)
    signed_in = _by_browser(kit, asked) if browser else _by_code(kit, asked, may_open=not no_browser)
    named = replace(signed_in, user=_known_as(kit, signed_in))
    _keep(kit, named)
    remember(kit.settings.home, Remembered(kit.settings.broker, kit.settings.ca))
    kit.out.say(f"logged in to {kit.settings.broker} as {named.user}")
    _warn_of_environment(kit, named.user)


@app.command()
def logout(
    kit: Kit,
    all_: Annotated[bool, Option("--all", help="Every account at this broker.")] = False,
) -> None:
    """Example: hoopx logout

    Sign out: the provider is asked to forget the login, and this machine forgets it in any case.
    """
    broker, account = kit.settings.broker, kit.settings.account
    with kit.logins.held():
        if all_:
            known = kit.logins.listed().get(broker)
            users = list(known.accounts) if known is not None else []
            found = [kit.logins.get(broker, user) for user in users] or [kit.logins.get(broker)]
        else:
            found = [kit.logins.get(broker, account)]
        kept = [each for each in found if each is not None]
        _end_backgrounds(kit, {each.user for each in kept})
        for each in kept:
            _sign_out(kit, each)
    if not kept:
        kit.out.say(f"you were not logged in to {broker}" + (f" as {account}" if account else ""))


@app.command()
def whoami(kit: Kit) -> None:
    """Example: hoopx whoami

    Show as whom the broker knows you, with which groups and until when.
    """
    me = kit.api.whoami()
    if kit.caller.login is not None and kit.caller.login.user != me.user:
        with kit.logins.held():
            kit.logins.rename(kit.settings.broker, kit.caller.login, me.user)
    if kit.out.form is Form.JSON:
        kit.out.json(me)
        return
    kit.out.fields(
        [
            ("user", me.user),
            ("kind", me.kind),
            ("groups", ", ".join(me.groups)),
            ("on behalf of", me.on_behalf_of or ""),
            ("their groups", ", ".join(me.their_groups)),
            ("issuer", me.issuer),
            ("until", moment(me.token_expires_at)),
            ("broker", kit.settings.broker),
        ]
    )


@app.command()
def token(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
) -> None:
    """Example: PGPASSWORD=$(hoopx token prod-db) psql "host=broker.example.com port=8443 user=ann dbname=prod-db sslmode=require"

    Print a password for clients that connect to the broker without hoopx. It is for one target, opens one session
    there, and must do so within five minutes. Until then it acts as you: hand it to a program and never write it down.
    """  # noqa: E501 - the example is one line for a shell
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


def _by_code(kit: Kit, asked: SignIn, *, may_open: bool) -> Login:
    from hoopx_cli.signin import sign_in

    return sign_in(asked, kit.trust(asked.issuer), lambda prompt: _show(kit, prompt, may_open=may_open))


def _by_browser(kit: Kit, asked: SignIn) -> Login:
    from hoopx_cli.browser_signin import sign_in_by_browser

    def show(url: str) -> None:
        is_opened = _open(kit, url)
        kit.out.insist(f"open {url}" if not is_opened else f"a browser opens at {url}")
        kit.out.say("  waiting for it to come back, in a browser on this machine; Ctrl-C to leave it")

    return sign_in_by_browser(asked, kit.trust(asked.issuer), show)


def _show(kit: Kit, prompt: Prompt, *, may_open: bool) -> None:
    first = f"open {prompt.url} and type the code: {prompt.code}"
    last = "  waiting for you to do so; Ctrl-C to leave it"
    if may_open and _open(kit, prompt.complete_url or prompt.url):
        last = "  a browser opens there; " + last.strip()
    kit.out.insist(first)
    if prompt.complete_url:
        second = f"  or scan this, or open {prompt.complete_url}, and compare the code"
        picture = _picture(kit, prompt.complete_url, beside=(first, second, last))
        kit.out.picture(picture)
        kit.out.insist(second if picture else f"  or open {prompt.complete_url} and compare the code")
    kit.out.say(last)


def _picture(kit: Kit, url: str, beside: Sequence[str]) -> list[str]:
    """The address for a telephone, if the terminal shows it whole and what stands beside it; else nothing."""
    room = kit.out.room_for_pictures()
    if room is None:
        return []
    from hoopx_cli import qr

    columns, lines = room
    taken = sum(-(-width(line) // max(columns, 1)) for line in beside) + 1  # and the cursor's own line
    return qr.drawn(url, columns, lines - taken, qr.ink_for(kit.environ, kit.out.takes_colour)) or []


def _open(kit: Kit, url: str) -> bool:
    """Whether a browser is opened: only where somebody sits at this machine's own screen and reads along."""
    from hoopx_cli import desktop

    is_there = kit.out.is_live and desktop.is_there(kit.environ)
    if is_there:
        desktop.open_page(url)
    return is_there


def _known_as(kit: Kit, signed_in: Login) -> str:
    """The name by which the broker knows them. A login that it does not take is given back, not kept."""
    try:
        return Api(kit.settings, kit.tls, lambda: credential_of(signed_in)).whoami().user
    except HoopxError:
        _tell_provider(kit, signed_in)
        raise


def _keep(kit: Kit, named: Login) -> None:
    from hoopx_cli.keyring import UNNAMED

    logins, broker = kit.logins, kit.settings.broker
    with logins.held():
        nameless = logins.get(broker, UNNAMED)
        if nameless is not None:
            logins.forget(broker, UNNAMED)
            # The names of logins that an earlier version kept are asked for as long as they can be.
            with suppress(HoopxError):
                user = Api(kit.settings, kit.tls, lambda: credential_of(nameless)).whoami().user
                logins.put(broker, replace(nameless, user=user))
        logins.put(broker, named)
        logins.choose(broker, named.user)


def _sign_out(kit: Kit, kept: Login) -> None:
    was_told = _tell_provider(kit, kept)
    kit.logins.forget(kit.settings.broker, kept.user)
    kit.out.say(f"logged out of {kit.settings.broker}" + (f" as {kept.user}" if kept.user else ""))
    if not was_told:
        kit.out.insist("the identity provider could not be told; its login ends by itself")


def _end_backgrounds(kit: Kit, users: set[str]) -> None:
    """What was opened by these logins ends with them."""
    from hoopx_cli import backgrounds

    broker = kit.settings.broker
    try:
        ended = backgrounds.end_those(
            kit.settings.home, lambda report: report.broker == broker and report.account in users - {""}
        )
    except HoopxError as error:
        kit.out.insist(f"sessions in the background could not be asked to end: {error.message}")
        return
    for each in ended:
        kit.out.say(f"the session with `{each.target}` is over")


def _tell_provider(kit: Kit, kept: Login) -> bool:
    from hoopx_cli.signin import sign_out

    try:
        return sign_out(kept, kit.trust(kept.issuer))
    except HoopxError:
        return False


def _warn_of_environment(kit: Kit, user: str) -> None:
    """What wins over the login that was just made."""
    for name in ("HOOPX_TOKEN", "HOOPX_CLIENT_ID"):
        if kit.environ.get(name):
            kit.out.insist(f"{name} is set and wins over this login until it is unset")
    named = kit.environ.get("HOOPX_ACCOUNT")
    if named and named != user:
        kit.out.insist(f"HOOPX_ACCOUNT is set and means {named} until it is unset")

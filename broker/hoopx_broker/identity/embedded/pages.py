"""The pages that people see: plain HTML that needs no script, each one question."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from msgspec import Struct

from hoopx_broker.pages.frame import page as _page


class Typed(Struct, frozen=True):
    """What somebody typed before, and what was wrong with it."""

    user: str = ""
    wrong: str = ""


class Elsewhere(Struct, frozen=True):
    """A provider to log in at: its name in URLs, and for people."""

    slug: str
    name: str


class Program(Struct, frozen=True):
    """What a person confirms: which program asks, where it listens (host and port), and at which broker."""

    client: str
    listens_at: str
    broker: str
    user: str
    through: str = ""


class Question(Struct, frozen=True):
    """What a person confirms: which client asks, from where, under which code, since when (seconds)."""

    client: str
    broker: str
    code: str
    asked_from: str
    browser_at: str
    waiting: int
    user: str
    through: str = ""


def enter_code(typed: str = "", wrong: str = "") -> str:
    return _page(
        "Log in to a device",
        f"""<h1>Enter the code</h1>
<p class="soft">It stands in the terminal where you ran <b>hoopx login</b>.</p>{_wrong(wrong)}
<form method="post" action="/oidc/device">
<label for="user_code">Code</label>
<input class="code" id="user_code" name="user_code" value="{escape(typed)}" placeholder="XXXX-XXXX" required
 maxlength="20" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus>
<button>Continue</button>
</form>""",
    )


def sign_in(token: str, typed: Typed | None, elsewhere: Sequence[Elsewhere] = ()) -> str:
    """All ways to prove who one is; no password is asked for where `typed` is None."""
    ways = [_password(token, typed)] if typed is not None else []
    if typed is not None and elsewhere:
        ways.append('<p class="or">or</p>')
    ways += [_button(token, each) for each in elsewhere]
    return _page("Log in", "\n".join(["<h1>Log in</h1>", *ways]))


def _password(token: str, typed: Typed) -> str:
    return f"""<p class="soft">With your user name and password of this broker.</p>{_wrong(typed.wrong)}
<form method="post" action="/oidc/login">
<input type="hidden" name="token" value="{escape(token)}">
<label for="user">User name</label>
<input id="user" name="user" value="{escape(typed.user)}" required maxlength="256" autocomplete="username"
 autocapitalize="none" spellcheck="false"{_focus(not typed.user)}>
<label for="password">Password</label>
<input id="password" name="password" type="password" required maxlength="1024" autocomplete="current-password"\
{_focus(bool(typed.user))}>
<button>Log in</button>
</form>"""


def _button(token: str, way: Elsewhere) -> str:
    return f"""<form method="post" action="/oidc/upstream/{way.slug}">
<input type="hidden" name="token" value="{escape(token)}">
<button class="quiet">Continue with {escape(way.name)}</button>
</form>"""


def confirm(token: str, question: Question) -> str:
    return _page(
        "Allow this login?",
        f"""<h1>Is this you?</h1>
<p>A device wants to open sessions as <b>{escape(question.user)}</b>{_through(question.through)} \
at <b>{escape(question.broker)}</b>.</p>
<dl>
<div><dt>Client</dt><dd>{escape(question.client)}</dd></div>
<div><dt>Code</dt><dd class="code">{escape(question.code)}</dd></div>
<div><dt>Asked from</dt><dd>{escape(question.asked_from)}</dd></div>
<div><dt>Asked</dt><dd>{_ago(question.waiting)}</dd></div>
</dl>
{_elsewhere(question)}<p class="soft">Allow it only if you started it yourself just now, and your terminal shows this \
very code. Whoever sent you a link or a code wants your access.</p>
<form method="post" action="/oidc/device/confirm">
<input type="hidden" name="token" value="{escape(token)}">
<button name="answer" value="allow">Allow</button>
<button class="quiet" name="answer" value="refuse">Refuse</button>
</form>""",
    )


def allow_program(token: str, program: Program) -> str:
    return _page(
        "Allow this login?",
        f"""<h1>Is this you?</h1>
<p>A program on this computer wants to open sessions as <b>{escape(program.user)}</b>{_through(program.through)} at \
<b>{escape(program.broker)}</b>.</p>
<dl>
<div><dt>Program</dt><dd>{escape(program.client)}</dd></div>
<div><dt>Listens at</dt><dd>{escape(program.listens_at)}</dd></div>
</dl>
<p class="soft">Allow it only if you ran <b>hoopx login</b> on this computer just now. If this page opened by itself, \
refuse: somebody wants your access.</p>
<form method="post" action="/oidc/authorize/confirm">
<input type="hidden" name="token" value="{escape(token)}">
<button name="answer" value="allow">Allow</button>
<button class="quiet" name="answer" value="refuse">Refuse</button>
</form>""",
    )


def allowed(user: str) -> str:
    return _page(
        "Logged in",
        f"""<h1>You are logged in</h1>
<p>The device now acts as <b>{escape(user)}</b>.</p>
<p class="soft">Close this page and go back to your terminal.</p>""",
    )


def refused() -> str:
    return _page(
        "Refused",
        """<h1>Refused</h1>
<p>The device was not logged in. If you did not start this yourself, tell who runs the broker.</p>""",
    )


def trouble(what: str) -> str:
    return _page(
        "Not possible",
        f"""<h1>That did not work</h1>
{_wrong(what)}
<p>Start again in your terminal, or <a href="/oidc/device">with the code that it shows</a>.</p>""",
    )


def _wrong(text: str) -> str:
    return f'\n<p class="wrong" role="alert">{escape(text)}</p>' if text else ""


def _focus(is_first: bool) -> str:
    return " autofocus" if is_first else ""


def _ago(seconds: int) -> str:
    minutes = seconds // 60
    if minutes == 0:
        return "less than a minute ago"
    return f"{minutes} minute{'s' if minutes > 1 else ''} ago"


def _through(upstream: str) -> str:
    return f" of {escape(upstream)}" if upstream else ""


def _elsewhere(question: Question) -> str:
    if question.asked_from == question.browser_at:
        return ""
    return (
        f'<p class="note">The device is not at the address of this browser ({escape(question.browser_at)}). '
        "That is so when you log in over SSH; otherwise refuse.</p>\n"
    )

"""Tell people by mail: one thread for each request."""

from __future__ import annotations

import importlib.util
import re
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from hoopx_broker.terms.notices import Notice, NotTold, NotWanted
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.notice_http import is_loopback
from hoopx_plugins.notice_text import facts, headline

SECONDS = 15.0  # for each step with the server; the courier bounds the whole
MAX_SUBJECT = 200
NO_LIBRARY = "needs the package aiosmtplib: `pip install 'hoopx[email]'`"

# Plain addresses alone, without names, quotes and folding; the server's own rules come on top.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_NOT_LET_IN = (530, 534, 535, 538)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class MailOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which server, from whom and to whom: `to` always, `by_group` where a request asks that group.

    `tls`: `starttls` before anything is said (port 587), `tls` from the first byte on (465), or `none`, which is for a
    server on this machine alone.
    """

    server: str
    sender: Annotated[str, Meta(max_length=320)]
    to: tuple[str, ...] = ()
    by_group: dict[str, tuple[str, ...]] = {}
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: Path | None = None
    user: str | None = None
    password: Secret | None = None

    def __post_init__(self) -> None:
        if importlib.util.find_spec("aiosmtplib") is None:
            raise ValueError(NO_LIBRARY)
        if not _HOST.fullmatch(self.server):
            raise ValueError("`server` is not HOST or HOST:PORT")
        for address in (self.sender, *self.to, *(each for group in self.by_group.values() for each in group)):
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"`{address}` is not an address; write for example `dba@example.com`")
        if not self.to and not any(self.by_group.values()):
            raise ValueError("must hold `to`, or `by_group`")
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        if self.tls == "none" and not is_loopback(self.host):
            raise ValueError("`tls: none` is for a server on this machine only")

    @property
    def host(self) -> str:
        name = self.server.rpartition("]")[0].lstrip("[")
        return name or self.server.partition(":")[0]

    @property
    def port(self) -> int:
        _, colon, port = self.server.rpartition("]")[2].rpartition(":")
        return int(port) if colon else _PORTS[self.tls]


class MailNotifier:
    """Each notice is one message over a connection of its own: they are few."""

    Options: ClassVar[type[MailOptions]] = MailOptions

    def __init__(self, name: str, options: MailOptions) -> None:
        self._name = name
        self._options = options
        self._context = ssl.create_default_context(cafile=str(options.ca) if options.ca else None)

    async def tell(self, notice: Notice, thread: dict[str, str]) -> str:
        """`thread` holds the id of the request's first message, which all later ones refer to."""
        recipients = self._recipients(notice)
        if not recipients:
            return ""
        mail = written(notice, self._options.sender, recipients, thread.get("first"))
        refused = await self._send(mail, recipients)
        thread.setdefault("first", str(mail["Message-ID"]))
        return f"`{self._name}`: not taken for {', '.join(sorted(refused))}" if refused else ""

    async def close(self) -> None:
        return

    def _recipients(self, notice: Notice) -> list[str]:
        asked = {**notice.approvers, **(notice.reviewers if notice.glass else {})}
        of_groups = (each for group in asked for each in self._options.by_group.get(group, ()))
        return sorted({*self._options.to, *of_groups})

    async def _send(self, mail: EmailMessage, recipients: list[str]) -> list[str]:
        """Those who were refused, where others were not. Raises `NotTold`; a server's words may quote an address."""
        import aiosmtplib  # a broker that sends no mail need not load it

        options = self._options
        client = aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port,
            username=options.user,
            password=options.password.reveal() if options.password else None,
            use_tls=options.tls == "tls",
            start_tls=options.tls == "starttls",
            tls_context=self._context,
            timeout=SECONDS,
            local_hostname=options.sender.rpartition("@")[2],  # of this machine's name servers learn nothing
        )
        try:
            async with client:
                answers, _ = await client.send_message(mail, sender=options.sender, recipients=recipients)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refused(recipients, [each.code for each in error.recipients]) from None
        except aiosmtplib.SMTPResponseException as error:
            hint = "look at `user` and `password`" if error.code in _NOT_LET_IN else "look into the server's log"
            raise NotTold(f"`{self._name}`: the mail server answered {error.code}", hint) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            hint = "look at `server`, `tls`, `ca` and the network"
            raise NotTold(f"`{self._name}`: the mail server cannot be used: {_kind_of(error)}", hint) from None
        finally:
            client.close()
        return list(answers)

    def _refused(self, recipients: list[str], codes: list[int]) -> NotTold:
        told = f"`{self._name}`: the mail server takes nothing for {', '.join(recipients)} ({_codes(codes)})"
        # 4xx is for now: a full box, a server that makes strangers come twice.
        return (NotWanted if min(codes) >= 500 else NotTold)(told, "look at the addresses")


def written(notice: Notice, sender: str, recipients: list[str], first: str | None) -> EmailMessage:
    """The message. Its id is made of the notice's, so that a second try is the same message."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address("hoopx", addr_spec=sender)
    mail["To"] = [Address(addr_spec=each) for each in recipients]
    mail["Subject"] = _subject(notice, is_reply=first is not None)
    mail["Date"] = format_datetime(datetime.fromtimestamp(notice.at, UTC))
    mail["Message-ID"] = f"<{notice.id}@{domain}>"
    if first is not None:
        mail["In-Reply-To"] = first
        mail["References"] = first
    # So that no other program answers it, nor an absent person's.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Hoopx-Request"] = notice.request
    told = list(facts(notice))
    mail.set_content(_as_text(headline(notice), told, notice.link))
    mail.add_alternative(_as_html(headline(notice), told, notice.link), subtype="html")
    return mail


def _subject(notice: Notice, *, is_reply: bool) -> str:
    """The same for all of one request, since some programs thread by it: what is new stands in the text."""
    first = replace(notice, event="broken-glass" if notice.glass else "asked")
    text = f"[hoopx {notice.request}] {headline(first)}"
    safe = "".join(c if c.isprintable() else " " for c in text)
    return ("Re: " if is_reply else "") + (safe if len(safe) <= MAX_SUBJECT else safe[: MAX_SUBJECT - 1] + "…")


def _as_text(title: str, told: list[tuple[str, str]], link: str) -> str:
    width = max((len(label) for label, _ in told), default=0)
    lines = [f"{label + ':':<{width + 1}} {text}" for label, text in told]
    return "\n".join([title, "", *lines, "", f"Look at it and answer here: {link}", ""])


def _as_html(title: str, told: list[tuple[str, str]], link: str) -> str:
    rows = "".join(f"<tr><th align=left valign=top>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in told)
    return (
        f"<!doctype html><html><body><p>{escape(title)}</p><table cellpadding=4>{rows}</table>"
        f'<p><a href="{escape(link)}">Look at it and answer here</a></p></body></html>'
    )


def _codes(codes: list[int]) -> str:
    return ", ".join(str(code) for code in sorted(set(codes)))


def _kind_of(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in f"{error} {error.__cause__}":
        return "its certificate is not to be believed"
    return type(error).__name__

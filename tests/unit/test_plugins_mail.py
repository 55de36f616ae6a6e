"""The mail notifier against a real SMTP server (aiosmtpd) with TLS and passwords, and what hostile texts try."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec.structs import replace

from hoopx_broker.notices import courier as couriers
from hoopx_broker.terms.notices import Notice, NotTold, NotWanted
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.mail import MailNotifier, MailOptions, written
from tests.peers.certificates import Authority
from tests.unit.notices_stage import NOTICE, stage

PASSWORD = "very-secret"
# What composing leaves of lines; here the notifier meets them raw, as if nobody had.
FORGED = "x\r\nBcc: eve@evil.example.com\r\n\r\n<b>Approved by bob</b>\n.\nMAIL FROM:<eve@evil.example.com>"


class MailServer:
    """A mail server: what it took, and whom it refuses."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.make("mail")
        self.ca = authority.write(folder / "mail-ca.pem")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*authority.write_server(folder))
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.refuses: dict[str, str] = {}
        self._open: list[SMTP] = []

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.ssl is not None
        assert isinstance(envelope.content, bytes)
        read = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.got.append((envelope.rcpt_tos, read))
        return "250 OK"

    def connection(self) -> SMTP:
        self._open.append(made := self._made())
        return made

    async def close(self) -> None:
        """Cut whoever still talks, and let the loop see it."""
        for each in self._open:
            if each.transport is not None:
                each.transport.close()
            if (talk := each._handler_coroutine) is not None:
                talk.cancel()
                await asyncio.gather(talk, return_exceptions=True)
        self._open.clear()
        await asyncio.sleep(0)

    def _made(self) -> SMTP:
        return SMTP(
            self,
            tls_context=self.context,
            require_starttls=True,
            auth_required=True,
            authenticator=_authenticate,
            hostname="localhost",
        )


def _authenticate(_: Any, __: Any, ___: Any, ____: Any, given: Any) -> AuthResult:
    assert isinstance(given, LoginPassword)
    return AuthResult(success=(given.login, given.password) == (b"hoopx", PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> MailServer:
    return MailServer(tmp_path_factory.mktemp("mail"))


@pytest.fixture(autouse=True)
def _clean(server: MailServer) -> None:
    server.got.clear()
    server.refuses.clear()


Play = Callable[..., None]


@pytest.fixture
def play(server: MailServer) -> Play:
    """Runs a scene with the notifier whose options are `more`."""

    def run(scene: Callable[[MailNotifier], Awaitable[None]], **more: Any) -> None:
        async def on_stage() -> None:
            listening = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", 0)
            port = listening.sockets[0].getsockname()[1]
            try:
                await scene(MailNotifier("mail", options(server, port, **more)))
            finally:
                listening.close()
                await server.close()

        asyncio.run(on_stage())

    return run


def options(there: MailServer, port: int, **more: Any) -> MailOptions:
    base: dict[str, Any] = {
        "server": f"localhost:{port}",
        "sender": "hoopx@example.com",
        "to": ("all@example.com",),
        "ca": there.ca,
        "user": "hoopx",
        "password": Secret(PASSWORD),
    }
    return MailOptions(**{**base, **more})


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_request_is_one_thread(server: MailServer, play: Play) -> None:
    async def scene(notifier: MailNotifier) -> None:
        thread: dict[str, str] = {}
        assert await notifier.tell(NOTICE, thread) == ""
        await notifier.tell(replace(NOTICE, id="msg_2", event="approved", state="approved"), thread)

    play(scene, by_group={"dba": ("dba@example.com",), "security": ("sec@example.com",)})
    (recipients, first), (_, second) = server.got
    assert recipients == ["all@example.com", "dba@example.com"]
    assert first["Message-ID"] == f"<{NOTICE.id}@example.com>"
    assert (second["In-Reply-To"], second["References"]) == (first["Message-ID"], first["Message-ID"])
    assert second["Subject"] == f"Re: {first['Subject']}" == "Re: [hoopx r_1] ann asks a session on prod-db"
    assert (first["From"], first["Auto-Submitted"]) == ("hoopx <hoopx@example.com>", "auto-generated")
    assert "Reason:  fix the order" in body(first, "plain")
    assert NOTICE.link in body(first, "plain")
    assert "State:   approved" in body(second, "plain")


def test_a_second_try_is_the_same_message(server: MailServer, play: Play) -> None:
    """A mailbox that has it drops the repeat."""

    async def scene(notifier: MailNotifier) -> None:
        for _ in range(2):
            await notifier.tell(NOTICE, {})

    play(scene)
    assert server.got[0][1]["Message-ID"] == server.got[1][1]["Message-ID"]


def test_no_text_adds_a_header_a_recipient_or_markup(server: MailServer, play: Play) -> None:
    hostile = replace(NOTICE, requester=FORGED, reason=FORGED, ticket=FORGED, target=FORGED, link=FORGED)

    async def scene(notifier: MailNotifier) -> None:
        await notifier.tell(hostile, {})

    play(scene)
    [(recipients, mail)] = server.got
    assert recipients == ["all@example.com"]
    assert mail["Bcc"] is None
    assert len(mail["Subject"].splitlines()) == 1
    assert "<b>" not in body(mail, "html")
    assert set(mail.keys()) == set(written(NOTICE, "hoopx@example.com", ["all@example.com"], None).keys())


def test_who_is_refused_is_told_and_the_others_have_it(server: MailServer, play: Play) -> None:
    server.refuses = {"gone@example.com": "550 no such user"}
    heard: list[str] = []

    async def scene(notifier: MailNotifier) -> None:
        heard.append(await notifier.tell(NOTICE, {}))

    play(scene, to=("gone@example.com", "all@example.com"))
    assert heard == ["`mail`: not taken for gone@example.com"]
    assert server.got[0][0] == ["all@example.com"]


@pytest.mark.parametrize(("answer", "error"), [("550 no such user", NotWanted), ("450 come again", NotTold)])
def test_where_nobody_is_taken_a_yes_may_come_later(
    server: MailServer, play: Play, answer: str, error: type[NotTold]
) -> None:
    server.refuses = {"all@example.com": answer}

    async def scene(notifier: MailNotifier) -> None:
        with pytest.raises(NotTold) as raised:
            await notifier.tell(NOTICE, {})
        assert type(raised.value) is error

    play(scene)


def test_a_wrong_password_is_told_and_not_repeated(server: MailServer, play: Play) -> None:
    async def scene(notifier: MailNotifier) -> None:
        with pytest.raises(NotTold, match="answered 535") as raised:
            await notifier.tell(NOTICE, {})
        assert "another-secret" not in f"{raised.value} {raised.value.hint} {notifier!r}"

    play(scene, password=Secret("another-secret"))


def test_nothing_is_said_to_a_server_that_cannot_be_believed(server: MailServer, play: Play, tmp_path: Path) -> None:
    async def scene(notifier: MailNotifier) -> None:
        with pytest.raises(NotTold, match="certificate is not to be believed"):
            await notifier.tell(NOTICE, {})

    play(scene, ca=Authority.make("stranger").write(tmp_path / "ca.pem"))
    assert server.got == []


def test_a_server_that_offers_no_tls_gets_no_password(server: MailServer) -> None:
    """Somebody on the way may take the offer of STARTTLS out."""
    said: list[bytes] = []
    gone = asyncio.Event()

    async def bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 localhost\r\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(b"250-localhost\r\n250 AUTH PLAIN LOGIN\r\n" if line[:4] == b"EHLO" else b"221 bye\r\n")
        writer.close()
        gone.set()  # the client did not leave its connection behind

    async def scene() -> None:
        listening = await asyncio.start_server(bare, "127.0.0.1", 0)
        notifier = MailNotifier("mail", options(server, listening.sockets[0].getsockname()[1]))
        with pytest.raises(NotTold, match="cannot be used"):
            await notifier.tell(NOTICE, {})
        await gone.wait()
        listening.close()

    asyncio.run(scene())
    assert not [line for line in said if line[:4] in (b"AUTH", b"MAIL")]


def test_a_server_that_says_nothing_costs_one_try(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "TRY_SECONDS", 0.3)

    async def scene() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            gone.set()

        listening = await asyncio.start_server(silent, "127.0.0.1", 0)
        notifier = MailNotifier("mail", options(server, listening.sockets[0].getsockname()[1]))
        async with stage(tmp_path) as s:
            await s.happens("asked")
            await s.courier(hook=notifier).tell_due("hook")
            assert [trouble.why for trouble in s.troubles] == ["no answer within 0 s"]
        async with asyncio.timeout(5):
            await gone.wait()
        listening.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sender": "x@example.com\r\nBcc: eve@example.com"}, "is not an address"),
        ({"to": ("Ann <ann@example.com>",)}, "is not an address"),
        ({"by_group": {"dba": ("dba",)}}, "is not an address"),
        ({"to": ()}, "must hold `to`, or `by_group`"),
        ({"server": "mail.example.com/x"}, "`server` is not HOST or HOST:PORT"),
        ({"user": None}, "`user` and `password` go together"),
        ({"server": "mail.example.com", "tls": "none"}, "on this machine only"),
    ],
    ids=range(7),
)
def test_options_that_cannot_hold_are_refused(server: MailServer, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        options(server, 25, **wrong)


@pytest.mark.parametrize(
    ("server_is", "tls", "place"),
    [
        ("mail.example.com", "starttls", ("mail.example.com", 587)),
        ("mail.example.com", "tls", ("mail.example.com", 465)),
        ("mail.example.com:2525", "tls", ("mail.example.com", 2525)),
        ("[::1]:25", "none", ("::1", 25)),
        ("[::1]", "none", ("::1", 25)),
    ],
    ids=range(5),
)
def test_where_the_server_is(server_is: str, tls: Any, place: tuple[str, int]) -> None:
    said = MailOptions(server=server_is, tls=tls, sender="a@example.com", to=("b@example.com",))
    assert (said.host, said.port) == place


def test_a_notice_that_asks_nobody_known_goes_to_nobody(server: MailServer, play: Play) -> None:
    async def scene(notifier: MailNotifier) -> None:
        notice: Notice = replace(NOTICE, approvers={"ops": 1})
        assert await notifier.tell(notice, {}) == ""

    play(scene, to=(), by_group={"dba": ("dba@example.com",)})
    assert server.got == []

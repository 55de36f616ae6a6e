"""The lane of the login: hoopx logs in to a server that may say anything, and sometimes says what it should."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac
from random import Random
from typing import cast

from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Side, StartTls
from hoopx_broker.wire.postgres import frames
from hoopx_broker.wire.postgres.engine import Phase
from hoopx_broker.wire.postgres.frames import Framer, message
from hoopx_broker.wire.postgres.scram import MAX_ITERATIONS
from tests.fuzz.lane import Case
from tests.fuzz.mutate import damaged
from tests.unit import wire_stage as say
from tests.unit.wire_stage import NONCE, SERVER_KEY, Stage

PASSWORD = "a long s3cret that no server may hear"
SALT = b"salt of the server"
OURS = b64encode(NONCE)
READY = say.authentication(0) + message(ord("K"), SERVER_KEY) + say.ready()
HUGE = b"2147483648"


def _first(iterations: bytes = b"4096", nonce: bytes = OURS + b"theirs", more: bytes = b"") -> bytes:
    return b"r=%b,s=%b,i=%b%b" % (nonce, b64encode(SALT), iterations, more)


def _final(first: bytes, header: bytes = b"n,,") -> bytes:
    """What the server must prove, computed apart from the code under test (RFC 5802, 3).

    The client binds to no channel here, and says so by its `header`: these certificates give nothing to bind to.
    """
    said = dict(part.split(b"=", 1) for part in first.split(b","))
    without_proof = b"c=" + b64encode(header) + b",r=" + said[b"r"]
    signed = b",".join((b"n=,r=" + OURS, first, without_proof))
    salted = pbkdf2_hmac("sha256", PASSWORD.encode(), b64decode(said[b"s"]), int(said[b"i"]))
    key = hmac.digest(salted, b"Server Key", "sha256")
    return b"v=" + b64encode(hmac.digest(key, signed, "sha256"))


class LoginLane:
    """Each case is one server: whether TLS is asked for, and what it says, part by part."""

    name = "login"

    def draw(self, random: Random) -> Case:
        tls = random.random() < 0.3
        parts = self._right(tls) if random.random() < 0.5 else [self._any(random) for _ in range(random.randint(1, 8))]
        if random.random() < 0.8:
            at = random.randrange(len(parts))
            change = random.randrange(3)
            if change == 0:
                parts[at] = damaged(random, parts[at], random.choice(parts))
            elif change == 1:
                parts[at] = self._any(random)
            else:
                parts.insert(at, self._any(random))
        return ("tls" if tls else "clear", *(("backend", data) for data in parts))

    def _right(self, tls: bool) -> list[bytes]:
        first = _first()
        begin = [b"S"] if tls else []
        return [
            *begin,
            say.authentication(10, b"SCRAM-SHA-256\0\0"),
            say.authentication(11, first),
            say.authentication(12, _final(first)),
            READY,
        ]

    def _any(self, random: Random) -> bytes:
        odd = random.choice(
            (
                _first(HUGE),
                _first(b"0"),
                _first(b"-1"),
                _first(str(MAX_ITERATIONS + 1).encode()),
                _first(b"1"),
                _first(nonce=OURS),
                _first(nonce=b"theirs"),
                _first(more=b",m=x"),
                _first(more=b",i=1"),
                b"r=" + OURS + b"x" * 5000 + b",s=QQ==,i=4096",
                b"r=" + OURS + b"x,s=,i=4096",
                b"",
            )
        )
        return random.choice(
            (
                say.authentication(11, odd),
                say.authentication(12, random.choice((b"v=", b"v=QUFB", b"e=no", _final(_first(), b"y,,")))),
                say.authentication(
                    10, random.choice((b"\0", b"SCRAM-SHA-1\0\0", b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
                ),
                say.authentication(random.choice((0, 2, 3, 6, 7, 8, 9, 13, 2**32 - 1))),
                say.authentication(5, b"salt"),
                say.notice("n" * random.choice((1, 1000, 100_000))) * random.choice((1, 50)),
                say.error("e" * random.choice((1, 100_000)), severity="FATAL"),
                say.status("client_encoding", random.choice(("UTF8", "SJIS", "x" * 9000))),
                message(ord("K"), random.randbytes(random.choice((4, 8, 36, 260)))),
                message(ord("v"), b"\0\3\0\0\0\0\0\0"),
                READY,
                READY[9:],
                say.ready(),
                say.columns(say.column("x") * 3) + say.row("x"),
                message(ord("D"), b"\xff\xff"),
                b"S",
                b"N",
                b"SS",
                b"R\x40\0\0\0",
                b"E\x3f\xff\xff\xff",
            )
        )

    def check(self, case: Case) -> None:
        tls = case[0] == "tls"
        stage = Stage(tls=tls, password=PASSWORD)
        stage.client_says(say.startup(user="me"))
        heard, broken = self._play(stage, [data for _, data in cast("tuple[tuple[str, bytes], ...]", case[1:])])
        if broken:
            stage.perform(stage.engine.fail("broken"))
            assert stage.engine.phase is Phase.CLOSED
        client = stage.client_heard
        assert PASSWORD.encode() not in client, "the client hears the password"
        assert PASSWORD not in repr(stage.notes), "the recording holds the password"
        assert PASSWORD.encode() not in heard, "the password went out in clear to a server that nobody verified"
        if stage.engine.phase is Phase.READY:
            self._was_earned(case)
        assert sum(len(frame.data) for frame in Framer(Side.BACKEND).feed(client)) == len(client)

    def _play(self, stage: Stage, parts: list[bytes]) -> tuple[bytes, bool]:
        heard = b""
        for data in parts:
            try:
                stage.backend_says(data)
                if stage.others and isinstance(stage.others[-1], StartTls):
                    stage.others.pop()
                    stage.perform(stage.engine.on_tls(None))
            except BrokenPeer:
                return heard + stage.backend_heard, True
            heard += stage.backend_heard
        return heard, False

    def _was_earned(self, case: Case) -> None:
        """A server with which SCRAM was begun is trusted only once it has proved that it knows the password."""
        tls, parts = case[0] == "tls", [data for _, data in cast("tuple[tuple[str, bytes], ...]", case[1:])]
        framer = Framer(Side.BACKEND)
        if tls:
            framer.expect_tls_answer()
        said = [frame.data[5:] for part in parts for frame in framer.feed(part) if frame.kind == frames.AUTHENTICATION]
        by_code = {int.from_bytes(each[:4], "big"): each[4:] for each in said}
        if 10 in by_code:
            assert by_code.keys() >= {11, 12}, "it was let in before it was asked for a proof"
            assert b64decode(by_code[12][2:]) == b64decode(_final(by_code[11])[2:]), "it proved nothing"

    def close(self) -> None:
        """Nothing is open."""

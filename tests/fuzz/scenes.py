"""What clients and servers say to each other, right and wrong, as parts of scenes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from hoopx_broker.wire.effects import Side
from hoopx_broker.wire.postgres.frames import message
from tests.fuzz.mutate import damaged, shuffled
from tests.laws.test_wire_laws import DIALOGUES, TEXTS
from tests.unit import wire_stage as say

Part = tuple[str, bytes]  # the side by its name, so that a case is made of literals
CLIENT, BACKEND = Side.CLIENT.value, Side.BACKEND.value

HELLO: list[Part] = [
    (CLIENT, say.startup(user="me", database="app")),
    (BACKEND, say.authentication(0) + say.status("client_encoding", "UTF8") + message(ord("K"), say.SERVER_KEY)),
    (BACKEND, say.ready()),
]
SCENES: list[list[Part]] = [[*HELLO, *((side.value, data) for side, data in scene)] for scene in DIALOGUES]
HELLOS = [
    say.startup(user="me"),
    say.startup(user="me", work_mem="1MB", options="-c a=b"),
    say.startup(196_610, user="me", _pq_new="x"),
    say.startup(196_609 + 9998, user="me"),
    say.packet(80_877_103),
    say.packet(80_877_104),
    say.packet(80_877_102, b"\0" * 8),
    say.startup(131_072, user="me"),
    say.startup(user="me", replication="true"),
]
NAMES = ("", "", "s", "t", "p", "n" * 63)
CELLS = (None, b"", b"x", "ü".encode(), b"\0\0\0\1")


def _client(random: Random) -> list[Callable[[], bytes]]:
    text, name, portal = random.choice(TEXTS), random.choice(NAMES), random.choice(NAMES)
    values = [random.choice(CELLS) for _ in range(random.randrange(4))]
    return [
        lambda: say.query(text),
        lambda: say.query(text),
        lambda: say.parse(text, name),
        lambda: say.parse(text, name),
        lambda: say.bind(name, portal, *values),
        lambda: say.bind(name, portal),
        lambda: say.execute(portal, random.choice((0, 0, 1))),
        lambda: say.execute(portal),
        lambda: say.describe(name, random.choice("SP")),
        lambda: say.close(name, random.choice("SP")),
        say.sync,
        say.sync,
        say.flush,
        lambda: say.copy_data(b"1\tx\n") * random.randint(1, 4),
        say.copy_done,
        lambda: message(ord("f"), b"no\0"),
        lambda: message(ord("F"), struct.pack("!IHHH", random.choice((958, 952, 1)), 0, 0, 0)),
        lambda: message(ord("X"), b""),
    ]


def _server(random: Random) -> list[Callable[[], bytes]]:
    described = say.columns(
        *random.choices([say.NAME_COLUMN, say.EMAIL_COLUMN, say.column("x")], k=random.randrange(3))
    )
    cells = [random.choice(CELLS) for _ in range(random.randrange(4))]
    encoding = random.choice(("UTF8", "LATIN1", "SJIS", "\udcff"))
    return [
        lambda: described + say.row(*cells) * random.randrange(4) + say.done("SELECT 1") + say.ready(),
        lambda: described,
        lambda: say.row(*cells) * random.randint(1, 3),
        lambda: say.done("DONE"),
        lambda: say.ready(random.choice("ITEX")),
        say.parsed,
        say.bound,
        say.closed,
        say.no_data,
        say.suspended,
        lambda: message(ord("I"), b""),
        lambda: message(ord("t"), b"\0\1\0\0\0\x17"),
        say.copy_in,
        lambda: message(ord("H"), b"\0\0\0") + say.copy_data(b"1\n") + say.copy_done(),
        lambda: message(ord("W"), b"\0\0\0"),
        lambda: say.error(severity=random.choice(("ERROR", "FATAL", "PANIC", "LOG"))),
        lambda: say.notice("hm"),
        lambda: message(ord("A"), b"\0\0\0\1news\0what\0"),
        lambda: message(ord("V"), b"\0\0\0\1x"),
        lambda: say.status("client_encoding", encoding) if encoding.isascii() else say.status("x", "y"),
        lambda: say.status("standard_conforming_strings", random.choice(("on", "off"))),
        lambda: say.authentication(random.choice((0, 3, 5, 7, 8, 9, 10, 11, 12, 99)), b"SCRAM-SHA-256\0\0"),
        lambda: message(ord("K"), b"\0\0\0\1\0\0\0\2"),
        lambda: message(ord("v"), struct.pack("!II", 0, 0)),
    ]


def part(random: Random, side: str) -> Part:
    """Something that this side may say, not always when it may."""
    makers = _client(random) if side == CLIENT else _server(random)
    return side, random.choice(makers)()


def scene(random: Random) -> list[Part]:
    """A hello, and then a known scene put out of order, or whatever comes to both sides; sometimes damaged."""
    parts = list(HELLO)
    if random.random() < 0.15:
        parts[0] = (CLIENT, random.choice(HELLOS))
    if random.random() < 0.4:
        parts += shuffled(random, random.choice(SCENES)[len(HELLO) :], random.choice(SCENES))
    else:
        parts += [part(random, random.choice((CLIENT, CLIENT, BACKEND))) for _ in range(random.randint(1, 20))]
    if random.random() < 0.6:
        at = random.randrange(len(parts))
        side, data = parts[at]
        parts[at] = side, damaged(random, data, random.choice(parts)[1])
    return parts

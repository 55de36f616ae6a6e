"""A recorded session to play with: one of every kind of entry, a clock that obeys, a key that is no secret."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.recording.blocks import HEADER as HEADER_2
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.order import HASH_SIZE, LENGTH_SIZE
from hoopx_broker.recording.recorder import Recorder
from hoopx_broker.recording.replay import lines, moments
from hoopx_broker.recording.seals import seal
from hoopx_broker.recording.version1 import HEADER, Chain
from hoopx_broker.terms.entries import (
    Columns,
    CopyData,
    Ended,
    Entry,
    Executed,
    Failed,
    Finished,
    Notice,
    Opened,
    Rows,
    Statement,
    StreamClosed,
    StreamOpened,
)
from hoopx_broker.terms.people import Principal

KEY = EvidenceKey("broker.test/evidence", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = EvidenceKey("broker.test/evidence", Ed25519PrivateKey.from_private_bytes(bytes(32)))

OPENED = Opened(
    session="s_0123456789abcdef",
    principal=Principal("ann@example.com", "human", ("analysts",), "https://login.example.com", "42"),
    target="prod-db",
    kind="postgres",
    database="app",
    peer="127.0.0.1:50123",
    policy="sha256:0123456789ab",
    broker="hoopx 0.1",
    opened_at=1_700_000_000.0,
    expires_at=1_700_003_600.0,
    rules=("analysts-connect",),
    reason="look into case 17",
    ticket="CASE-17",
    lease="l_0123456789abcdef",
    lease_source="postgres-role",
    backend_user="hoopx_s_0123456789abcdef",
)


class HandClock:
    """Steps a quarter of a second at every look."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def data_row(*cells: bytes | None) -> bytes:
    """A DataRow message of protocol 3."""
    body = struct.pack("!H", len(cells)) + b"".join(
        struct.pack("!i", -1) if cell is None else struct.pack("!i", len(cell)) + cell for cell in cells
    )
    return b"D" + struct.pack("!I", len(body) + 4) + body


def copy_data(data: bytes) -> bytes:
    return b"d" + struct.pack("!I", len(data) + 4) + data


ENTRIES: tuple[Entry, ...] = (
    StreamOpened("t_1", {"user": "ann", "database": "app", "application_name": "psql"}),
    Statement(
        "t_1", 1, "select id, name, email\nfrom customers", "allow", ("read",), masked=("public.customers.email",)
    ),
    Columns("t_1", 1, ("id", "name", "email"), (23, 25, 25), (0, 0, 0), masked=(2,)),
    Rows("t_1", 1, 2, data_row(b"1", "Zoë 東京".encode(), b"a***@***") + data_row(b"22", None, b"b***@***")),
    Finished("t_1", 1, "SELECT 2", 2),
    Statement("t_1", 2, "drop table customers", "deny", ("no-ddl",), reason="no drops"),
    Failed("t_1", 2, "ERROR", "42501", "rule `no-ddl` forbids `drop table`"),
    Statement("t_1", 3, "update customers set name = $1 where id = $2", "ask", ("writes",), request="r_0123456789"),
    Notice("t_1", "NOTICE", "00000", "waiting for approval r_0123456789"),
    Executed("t_1", 4, 3, (b"Bob", struct.pack("!i", 7), None), (0, 1, 0)),
    Finished("t_1", 4, "UPDATE 1", 1),
    Statement("t_1", 5, "copy customers to stdout", "allow", ("read",)),
    CopyData("t_1", 5, "out", copy_data(b"1\tZoe\n") + copy_data(b"2\tBob\n")),
    Finished("t_1", 5, "COPY 2", 2),
    StreamClosed("t_1", "the client left"),
)


def record(directory: Path, entries: Sequence[Entry] = ENTRIES, opened: Opened = OPENED) -> Path:
    """A sealed recording."""
    recorder = Recorder.create(directory, opened, KEY, HandClock())
    for entry in entries:
        recorder.write([entry])
    recorder.seal("the client left")
    return recorder.path


def record_1(directory: Path, entries: Sequence[Entry] = ENTRIES, opened: Opened = OPENED) -> Path:
    """A sealed recording of version 1, which no recorder writes any more."""
    path = directory / f"{opened.session}.hoopx"
    told = [opened, *entries, Ended("the client left", opened.opened_at + 4.25)]
    path.write_bytes(sealed(opened.session, *told, times=[250_000 * n for n in range(len(told))]))
    return path


def cut_up(recording: bytes) -> list[bytes]:
    """The blocks of a recording of version 2 as they stand in the file, by an own reading of the format."""
    found: list[bytes] = []
    at = len(HEADER_2)
    while at < len(recording):
        end = at + 9 + int.from_bytes(recording[at : at + 4], "big") + HASH_SIZE
        found.append(recording[at:end])
        at = end
    return found


def pieces(recording: bytes) -> list[bytes]:
    """The entries of a recording of version 1 as they stand in the file, by an own reading of the format."""
    found: list[bytes] = []
    at = len(HEADER)
    while at < len(recording):
        end = at + LENGTH_SIZE + int.from_bytes(recording[at : at + LENGTH_SIZE], "big") + HASH_SIZE
        found.append(recording[at:end])
        at = end
    return found


def chained(*entries: Entry, times: Sequence[int] = ()) -> bytes:
    """A file of version 1 of exactly these entries, correctly chained whatever they are."""
    chain = Chain()
    framed = [b"".join(chain.add(times[i] if times else 0, entry)) for i, entry in enumerate(entries)]
    return HEADER + b"".join(framed)


def sealed(
    session: str,
    *entries: Entry,
    key: EvidenceKey = KEY,
    said_unfinished: bool = False,
    times: Sequence[int] = (),
) -> bytes:
    """Like `chained`, with a good seal over `entries` made for `session`."""
    chain = Chain()
    for at, entry in enumerate(entries):
        chain.add(times[at] if times else 0, entry)
    made = seal(session, chain, key, unfinished=said_unfinished)
    return chained(*entries, made, times=[*times, times[-1]] if times else ())


def told(*entries: Entry) -> list[str]:
    """The lines of a replay that begins with `OPENED` and goes on with `entries`, without the opening."""
    opening = len(list(lines([(0.0, OPENED)])))
    return list(lines(moments(io.BytesIO(chained(OPENED, *entries)))))[opening:]


ENDED = Ended("bye", 1_700_000_001.0)

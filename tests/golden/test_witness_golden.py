"""What litewitness answered when `answers.json` was written is what hoopx reads, and what the double answers.

With HOOPX_RENEW=1, and litewitness here, they are written anew; only times and keys differ then.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import httpx2
import msgspec
import pytest

from hoopx_broker.tlog.cosignatures import parse_witness
from hoopx_broker.tlog.witnessing import SIZE_TYPE, add_checkpoint, cosignature_in, known_size
from tests.peers.found import require
from tests.peers.litewitness import litewitness
from tests.peers.witness_double import WitnessDouble, double
from tests.unit.witness_stage import PlayedLog

FILE = Path(__file__).parent / "witness" / "answers.json"
LOG = PlayedLog("golden.test/log")
OTHER, THIEF = PlayedLog("golden.test/log", "other"), PlayedLog("golden.test/log", seed=2)
IS_RENEWING = os.environ.get("HOOPX_RENEW") == "1"


class Call(msgspec.Struct, frozen=True):
    """A request, and what came back. `body` and `said` are base64."""

    what: str
    body: str
    status: int
    kind: str
    said: str


class Recorded(msgspec.Struct, frozen=True):
    """`key` is the witness's."""

    key: str
    calls: list[Call]


def _requests() -> list[tuple[str, bytes]]:
    """In this order, to a witness that knows `LOG` and has seen nothing of it."""

    def shows(log: PlayedLog, old: int, size: int) -> bytes:
        return add_checkpoint(old, log.proof(old, size), log.checkpoint(size))

    return [
        ("the first checkpoint", shows(LOG, 0, 5)),
        ("the log grew", shows(LOG, 5, 300)),
        ("the same checkpoint again", shows(LOG, 300, 300)),
        ("another old size", shows(LOG, 5, 350)),
        ("a smaller log", shows(LOG, 5, 200)),
        ("a proof that does not hold", add_checkpoint(300, LOG.proof(300, 350)[:-1], LOG.checkpoint(350))),
        ("a fork", shows(OTHER, 300, 350)),
        ("a fork of the same size", shows(OTHER, 300, 300)),
        ("a key that is not known", shows(THIEF, 300, 350)),
        ("a log that is not known", shows(PlayedLog("nobody.test/log"), 0, 5)),
        ("an old size beyond the checkpoint", shows(LOG, 0, 5).replace(b"old 0", b"old 9")),
        ("no old size", b"\n" + LOG.checkpoint(350).encode()),
        ("both keys, and the log goes on", add_checkpoint(300, LOG.proof(300, 350), LOG.checkpoint(350, THIEF.signer))),
    ]


def _asked(url: str) -> list[Call]:
    calls = []
    with httpx2.Client(trust_env=False, timeout=60) as client:
        for what, body in _requests():
            said = client.post(f"{url}/add-checkpoint", content=body)
            kind = said.headers.get("content-type", "")
            calls.append(Call(what, _text(body), said.status_code, kind, _text(said.content)))
    return calls


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _renew(home: Path) -> None:
    require("litewitness")
    with litewitness(home) as real:
        real.trust(LOG.origin, LOG.key)
        recorded = Recorded(real.key, _asked(real.url))
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    if IS_RENEWING:
        _renew(tmp_path_factory.mktemp("witness"))
    return msgspec.json.decode(FILE.read_bytes(), type=Recorded)


def test_it_was_asked_what_is_asked_today(recorded: Recorded) -> None:
    assert [(each.what, base64.b64decode(each.body)) for each in recorded.calls] == _requests()


def test_every_answer_of_litewitness_is_read(recorded: Recorded) -> None:
    witness = parse_witness(recorded.key)
    read: list[object] = []
    for call in recorded.calls:
        said = base64.b64decode(call.said)
        note = base64.b64decode(call.body).decode().partition("\n\n")[2]
        match call.status:
            case 200:
                read.append(cosignature_in(said, note, witness)[1].witness)
            case 409:
                read.append(known_size(call.kind, said))
            case status:
                read.append(f"{status}")
    assert read == [witness] * 3 + [300, 300, "422", "422", "422", "403", "404", "400", "400", witness]


def test_the_double_answers_alike(recorded: Recorded) -> None:
    with double() as there:
        there.trust(LOG.origin, LOG.key)
        calls = _asked(there.url)
    for mine, real in zip(calls, recorded.calls, strict=True):
        _compare(there, mine, real)


def _compare(there: WitnessDouble, mine: Call, real: Call) -> None:
    if mine.what == "a fork of the same size":
        # Where the two differ: the specification demands a 409, and litewitness says 422.
        assert (mine.status, real.status) == (409, 422)
        return
    assert (mine.what, mine.status, mine.kind) == (real.what, real.status, real.kind)
    if mine.kind == SIZE_TYPE:
        assert mine.said == real.said
    if mine.status == 200:
        lines, theirs = (base64.b64decode(said).decode().splitlines() for said in (mine.said, real.said))
        assert len(lines) == len(theirs) == 1
        assert len(lines[0].split()[2]) == len(theirs[0].split()[2])
        assert lines[0].startswith(f"— {there.name} ")

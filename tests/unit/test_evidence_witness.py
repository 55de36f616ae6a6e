"""What a hostile or broken witness may answer: nothing of it is taken, and each is told for what it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hoopx_broker.evidence import witness as asking
from hoopx_broker.evidence.witness import Gave, Knows, NotCosigned, Witness
from hoopx_broker.tlog.checkpoints import Checkpoint
from hoopx_broker.tlog.cosignatures import COSIGNATURE, cosign
from hoopx_broker.tlog.failures import BadProof
from hoopx_broker.tlog.notes import Signature, Signer, Verifier, sign_by
from hoopx_broker.tlog.witnessing import add_checkpoint
from tests.peers.receiver import Answered, Got, Receiver, receiver
from tests.unit.witness_stage import PlayedLog

LOG = PlayedLog("broker.test/hoopx/0123abcd")
NOTE, OLDER = LOG.checkpoint(10), LOG.checkpoint(9)
NAME = "witness.test/w1"
PRIVATE, OTHERS = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (9, 10))
KEY = Verifier(NAME, PRIVATE.public_key().public_bytes_raw(), COSIGNATURE)
SIZE = {"content-type": "text/x.tlog.size"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiver(tmp_path_factory.mktemp("witness")) as running:
        yield running


@pytest.fixture(autouse=True)
def cleared(there: Receiver) -> None:
    there.clear()


def asked(there: Receiver, *, ca: Path | None = None) -> Gave | Knows:
    async def play() -> Gave | Knows:
        client = Witness(KEY, there.url + "/prefix/", ca or there.ca, time.time)
        try:
            return await client.ask(3, LOG.proof(3, 10), NOTE)
        finally:
            await client.close()

    return asyncio.run(play())


def now() -> int:
    return int(time.time())


def good(at: int | None = None) -> str:
    return cosign(NOTE, NAME, PRIVATE, at or now())


def test_what_is_sent_and_what_is_taken(there: Receiver) -> None:
    other = cosign(NOTE, "other.test/w", OTHERS, now())
    there.answers = [Answered(200, {}, (other + good(now()) + other).encode()), Answered(409, SIZE, b"7\n")]
    gave = asked(there)
    assert isinstance(gave, Gave)
    assert gave.cosigned.witness == KEY
    assert gave.line.startswith(f"— {NAME} ")
    assert asked(there) == Knows(7)
    assert [each.path for each in there.got] == ["/prefix/add-checkpoint"] * 2
    assert there.got[0].body == add_checkpoint(3, LOG.proof(3, 10), NOTE)
    head, _, note = there.got[0].body.decode().partition("\n\n")
    assert (head.split("\n")[0], note) == ("old 3", NOTE)


def appended() -> str:
    """An empty line moves where the text of a note ends: what follows would be signed over all before it."""
    longer = f"{NOTE}\n"
    private = Signer(NAME, PRIVATE)
    line = cosign(sign_by(longer, [private]), NAME, PRIVATE, now())
    return f"\n{line}"


BAD_LINES: dict[str, Callable[[], str]] = {
    "an older checkpoint": lambda: cosign(OLDER, NAME, PRIVATE, now()),
    "a checkpoint with another root": lambda: cosign(
        sign_by(Checkpoint(LOG.origin, 10, bytes(32)).text(), [LOG.signer]), NAME, PRIVATE, now()
    ),
    "a checkpoint of another log": lambda: cosign(PlayedLog("other.test/log").checkpoint(10), NAME, PRIVATE, now()),
    "something behind the checkpoint": appended,
    "a key of somebody else": lambda: cosign(NOTE, NAME, OTHERS, now()),
    "another name": lambda: cosign(NOTE, "witness.test/w2", PRIVATE, now()),
    "its key id on another key's signature": lambda: Signature(
        NAME, KEY.key_id, now().to_bytes(8, "big") + OTHERS.sign(b"x")
    ).line(),
    "a plain signature of the note": lambda: Signature(
        NAME, KEY.key_id, PRIVATE.sign(NOTE.rpartition("\n\n")[0].encode() + b"\n")
    ).line(),
    "the log's own signature": lambda: NOTE.rpartition("\n\n")[2],
    "a time to come": lambda: good(now() + 3600),
    "a good one and a forged one": lambda: good() + Signature(NAME, KEY.key_id, bytes(72)).line(),
    "nothing": lambda: "",
    "half a line": lambda: good()[:-20],
    "no newline": lambda: good()[:-1],
    "words": lambda: "cosigned, honestly\n",
    "another note": lambda: f"{NOTE}{good()}",
    "too many lines": lambda: good() * 100,
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_no_cosignature_is_taken_from(there: Receiver, name: str) -> None:
    there.answers = [Answered(200, {}, BAD_LINES[name]().encode())]
    with pytest.raises(NotCosigned, match=r"the witness `witness\.test/w1` at `localhost:\d+` answered what is not"):
        asked(there)


@pytest.mark.parametrize(
    ("status", "headers", "body", "why"),
    [
        (200, {}, b"\xff\xfe\n", "the answer is no text"),
        (409, {"content-type": "text/plain"}, b"7\n", "no size of a log"),
        *(
            (409, SIZE, body, "no size of a log")
            for body in (b"7", b"07\n", b"-1\n", b"7\n8\n", b"9" * 19 + b"\n", b"")
        ),
        (403, {}, b"no", "does not know the key that signs the log `broker.test/hoopx/0123abcd`"),
        (404, {}, b"no", "or there is no witness at its `url`"),
        (400, {}, b"old what?", "answered 400: `old what\\?`"),
        (500, {}, b"\x1b[2Jpanic", "answered 500$"),  # nothing of it gets onto anybody's terminal
        (503, {}, b"a" * 500, "answered 503: `a{100}`$"),
        (204, {}, b"", "answered 204"),
    ],
)
def test_other_answers_are_told_for_what_they_are(
    there: Receiver, status: int, headers: dict[str, str], body: bytes, why: str
) -> None:
    there.answers = [Answered(status, headers, body)]
    with pytest.raises(NotCosigned, match=why) as raised:
        asked(there)
    assert raised.value.hint


def test_a_redirect_is_not_followed(there: Receiver, tmp_path: Path) -> None:
    with receiver(tmp_path) as elsewhere:
        elsewhere.otherwise = lambda _: Answered(200, {}, good().encode())
        for status in (301, 302, 307, 308):
            there.answers = [Answered(status, {"location": f"{elsewhere.url}/prefix/add-checkpoint"})]
            with pytest.raises(NotCosigned, match="sends elsewhere, where hoopx does not follow"):
                asked(there)
        assert elsewhere.got == []


def test_an_answer_without_end_is_cut_off(there: Receiver) -> None:
    for status in (200, 409, 500):
        there.answers = [Answered(status, SIZE, good().encode() * 2_000)]
        with pytest.raises(NotCosigned, match="more than 65536 bytes"):
            asked(there)


def test_a_packed_answer_is_not_unpacked(there: Receiver) -> None:
    """A bound on what is read is then a bound on what is held."""
    there.answers = [Answered(200, {"content-encoding": "gzip"}, good().encode())]
    assert isinstance(asked(there), Gave)  # taken as the bytes that they are
    assert there.got[0].headers["accept-encoding"] == "identity"


def test_a_witness_that_is_slow_is_left(there: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    over = Event()

    def waits(_: Got) -> Answered:
        over.wait(60)
        return Answered(200, {}, good().encode())

    there.otherwise = waits
    with pytest.raises(NotCosigned, match=r"did not answer within|cannot be reached: ReadTimeout"):
        asked(there)
    over.set()


def test_a_witness_that_is_somebody_else_is_not_asked(there: Receiver, tmp_path: Path) -> None:
    with receiver(tmp_path) as other, pytest.raises(NotCosigned, match="its certificate is not to be believed"):
        asked(there, ca=other.ca)
    assert there.got == []


def test_a_proof_is_never_longer_than_a_witness_takes_it() -> None:
    assert add_checkpoint(1, [bytes(32)] * 63, NOTE).count(b"\n") == 63 + 2 + NOTE.count("\n")
    with pytest.raises(BadProof, match="at most 63"):
        add_checkpoint(1, [bytes(32)] * 64, NOTE)

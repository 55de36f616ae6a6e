"""What a witness answers, as c2sp.org/tlog-witness has it: held against the double and a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

import pytest

from hoopx_broker.evidence.witness import Disputed, Gave, Knows, NotCosigned, Witness
from hoopx_broker.tlog.notes import Verifier, sign_by, split_note
from tests.peers.found import require
from tests.peers.litewitness import litewitness
from tests.peers.witness_double import double
from tests.unit.witness_stage import Asked, PlayedLog, client

T = TypeVar("T")


@pytest.fixture(scope="module", params=["double", "litewitness"])
def witness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    if request.param == "double":
        with double() as there:
            yield there
    else:
        require("litewitness")
        with litewitness(tmp_path_factory.mktemp("witness")) as real:
            yield real


def known(witness: Asked, origin: str, *keys: str) -> PlayedLog:
    log = PlayedLog(origin)
    for key in keys or (log.key,):
        witness.trust(origin, key)
    return log


def asked(witness: Asked, scene: Callable[[Witness], Awaitable[T]]) -> T:
    async def play() -> T:
        there = client(witness)
        try:
            return await scene(there)
        finally:
            await there.close()

    return asyncio.run(play())


def ask(witness: Asked, old: int, proof: Sequence[bytes], note: str) -> Gave | Knows:
    return asked(witness, lambda there: there.ask(old, proof, note))


def shows(witness: Asked, log: PlayedLog, old: int, size: int) -> Gave | Knows:
    return ask(witness, old, log.proof(old, size), log.checkpoint(size))


def test_it_cosigns_a_log_as_it_grows_and_the_same_checkpoint_again(witness: Asked) -> None:
    log = known(witness, "grows.test/log")
    for old, size in ((0, 5), (5, 6), (6, 256), (256, 300), (300, 300), (300, 400)):
        gave = shows(witness, log, old, size)
        assert isinstance(gave, Gave)
        assert str(gave.cosigned.witness) == witness.key
        assert split_note(log.checkpoint(size) + gave.line)[1][1].line() == gave.line
        assert witness.size(log.origin) == size


def test_it_says_how_much_it_has_seen_where_somebody_thinks_otherwise(witness: Asked) -> None:
    log = known(witness, "sizes.test/log")
    assert shows(witness, log, 3, 5) == Knows(0)
    assert isinstance(shows(witness, log, 0, 5), Gave)
    for old in (0, 4, 6):
        assert shows(witness, log, old, 7) == Knows(5)
    assert shows(witness, log, 2, 3) == Knows(5)  # nor does it go back
    assert witness.size(log.origin) == 5


def test_it_takes_no_proof_that_does_not_hold(witness: Asked) -> None:
    log = known(witness, "proofs.test/log")
    shows(witness, log, 0, 100)
    for proof in ((), log.proof(100, 200)[:-1], log.proof(99, 200), (*log.proof(100, 200), bytes(32))):
        with pytest.raises(Disputed, match=r"`proofs.test/log` does not go on"):
            ask(witness, 100, proof, log.checkpoint(200))
    assert isinstance(shows(witness, log, 100, 200), Gave)


def test_it_cosigns_no_two_logs_of_one_name(witness: Asked) -> None:
    log, other = known(witness, "forked.test/log"), PlayedLog("forked.test/log", "other")
    shows(witness, log, 0, 100)
    with pytest.raises(Disputed):
        shows(witness, other, 100, 200)
    # Of the same size the specification wants a 409, which says nothing new; litewitness says 422.
    with suppress(Disputed):
        assert shows(witness, other, 100, 100) == Knows(100)
    assert isinstance(shows(witness, log, 100, 101), Gave)


def test_it_knows_logs_by_their_names_and_keys(witness: Asked) -> None:
    log, thief = known(witness, "keys.test/log"), PlayedLog("keys.test/log", seed=2)
    with pytest.raises(NotCosigned, match=r"does not know the key that signs the log `keys\.test/log`"):
        shows(witness, thief, 0, 5)
    with pytest.raises(NotCosigned, match=r"does not know the log `nobody\.test/log`"):
        shows(witness, PlayedLog("nobody.test/log"), 0, 5)
    both = ask(witness, 0, (), log.checkpoint(5, thief.signer))  # one known key is enough
    assert isinstance(both, Gave)


def test_a_log_goes_on_under_a_new_key_once_it_is_told_of_it(witness: Asked) -> None:
    log, later = known(witness, "rotated.test/log"), PlayedLog("rotated.test/log", seed=2)
    shows(witness, log, 0, 5)
    with pytest.raises(NotCosigned, match="does not know the key"):
        shows(witness, later, 5, 9)
    witness.trust(log.origin, later.key)
    assert isinstance(shows(witness, later, 5, 9), Gave)
    witness.distrust(log.origin, log.key)
    with pytest.raises(NotCosigned, match="does not know the key"):
        shows(witness, log, 9, 10)


def test_a_key_may_be_named_otherwise_than_its_log(witness: Asked) -> None:
    """As hoopx has it: the key is named by the host, the log by host and chance."""
    log = PlayedLog("named.test/hoopx/0123abcd")
    key = str(Verifier("named.test", log.signer.verifier.public))
    witness.trust(log.origin, key)
    text = split_note(log.checkpoint(5))[0]
    note = sign_by(text, [type(log.signer)("named.test", log.signer.private)])
    assert isinstance(ask(witness, 0, (), note), Gave)


def test_what_is_no_request_is_refused(witness: Asked) -> None:
    log = known(witness, "malformed.test/log")
    with pytest.raises(NotCosigned, match="answered 400"):
        ask(witness, 7, (), log.checkpoint(5))  # the old size is larger

"""The reading child answers what it can, and dies alone of what it cannot."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

import pytest

from hoopx_broker.policy.facts import wire
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.terms.facts import Unreadable


class Child:
    """The real process, spoken to as its owner does."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hoopx_broker.policy.facts.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    @property
    def questions(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def answers(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def say(self, data: bytes) -> None:
        try:
            self.questions.write(data)
            self.questions.flush()
        except BrokenPipeError:
            pass  # it died while it was spoken to

    def ask(self, statement: bytes) -> wire.Reading | None:
        """The answer, or None where the child died instead."""
        speaking = threading.Thread(target=self.say, args=(wire.framed(statement),))
        speaking.start()
        header = self.answers.read(wire.HEADER)
        answer = self.answers.read(wire.length(header)) if header else None
        speaking.join()
        return None if answer is None else wire.decode(answer)

    def end(self) -> int:
        self.process.stdin and self.process.stdin.close()
        code = self.process.wait()
        self.answers.close()
        return code


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.end()


def test_it_answers_in_order_and_ends_when_nobody_asks_any_more(child: Child) -> None:
    for statement in [b"select email from customers", b"", b"selec", b"select 1; delete from t", b"\xff"]:
        assert child.ask(statement) == read(statement)
    assert child.end() == 0


@pytest.mark.parametrize(
    "statement",
    [
        b"select " + b"1+" * 50_000 + b"1",
        b"select " + b"1+" * 499_000 + b"1",
        b"select 1" + b" union all select 1" * 50_000,
        b"select " + b"(" * 10_000 + b"1" + b")" * 10_000,
        b"select 1" + b"::int" * 190_000,
        b"select " + b"(select " * 10_000 + b"1" + b")" * 10_000,
        b"select " + b"array[" * 70_000 + b"1" + b"]" * 70_000,
        b"select 1 from t" + b" join t on true" * 60_000,
        b"select " + b"case when true then " * 40_000 + b"1" + b" end" * 40_000,
        b"/*" * 32_000,
        b"select 1" + b"+-" * 32_000 + b"1",
        b"select 1;" * 100_000,
        b"select " + b"x" * 2_000_000,
    ],
    ids=lambda statement: f"{statement[:24].decode()} {len(statement)}",
)
def test_a_hostile_statement_is_unreadable_or_kills_the_child_only(child: Child, statement: bytes) -> None:
    answer = child.ask(statement)
    assert answer is None or isinstance(answer, Unreadable)
    if answer is not None:
        assert child.ask(b"select 1") == read(b"select 1")


def test_an_honest_long_statement_is_read(child: Child) -> None:
    for statement in [
        b"select 'a'" + b" || 'a'" * 1_000,
        b"select 1 from t" + b" join t on true" * 200,
        b"select 1 where x in (" + b"1," * 50_000 + b"1)",
        b"insert into t values " + b"(1, 'abc', now())," * 5_000 + b"(1, 'a', now())",
    ]:
        assert not isinstance(child.ask(statement), Unreadable | None)


def test_a_frame_beyond_all_bounds_ends_the_child(child: Child) -> None:
    child.say((wire.MAX_FRAME + 1).to_bytes(wire.HEADER, "big"))
    assert child.answers.read() == b""
    assert child.end() == 0


def test_a_torn_question_is_not_answered(child: Child) -> None:
    child.say(wire.framed(b"select 1")[:-1])
    child.questions.close()
    assert child.answers.read() == b""


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x91\x01", b"\x80", b"\x90trailing", b"\xdd\xff\xff\xff\xff"])
def test_an_answer_that_is_none_is_unreadable(frame: bytes) -> None:
    assert isinstance(wire.decode(frame), Unreadable)

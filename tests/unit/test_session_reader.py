"""The processes that read statements: one that dies, hangs or talks nonsense costs its statement and no other."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable

import pytest

from hoopx_broker.session import reader as room
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.facts import Unreadable


def play(act: Callable[[StatementReader], Awaitable[None]], script: str | None = None) -> None:
    """Play a scene with the real children, or with ones that run `script`."""

    async def scene() -> None:
        reader = (
            StatementReader() if script is None else StatementReader((sys.executable, "-c", textwrap.dedent(script)))
        )
        try:
            await act(reader)
        finally:
            await reader.close()

    asyncio.run(scene())


# Answers each question with an empty tuple, except that some questions make it misbehave.
MOODY = """
    import os, sys, time
    def read(size):
        return sys.stdin.buffer.read(size)
    while header := read(4):
        text = read(int.from_bytes(header, "big"))
        if text == b"die":
            os._exit(1)
        if text == b"hang":
            time.sleep(60)
        if text == b"long":
            sys.stdout.buffer.write(b"\\xff" * 100)
        elif text == b"nonsense":
            sys.stdout.buffer.write(b"\\0\\0\\0\\4" + b"\\xc1\\xc1\\xc1\\xc1")
        elif text == b"half":
            sys.stdout.buffer.write(b"\\0\\0\\0\\4\\x90")
            sys.stdout.flush()
            os._exit(0)
        else:
            sys.stdout.buffer.write(b"\\0\\0\\0\\1\\x90")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("mood", ["die", "hang", "long", "nonsense", "half"])
def test_a_child_that_misbehaves_makes_its_statement_unreadable_and_no_other(
    monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    monkeypatch.setattr(room, "DEADLINE_SECONDS", 0.5)

    async def act(reader: StatementReader) -> None:
        for _ in range(2):
            assert isinstance(await reader.read(mood.encode()), Unreadable)
            assert await reader.read(b"select 1") == ()

    play(act, MOODY)


def test_a_statement_that_hangs_does_not_hold_up_another_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "DEADLINE_SECONDS", 30.0)

    async def act(reader: StatementReader) -> None:
        hanging = asyncio.ensure_future(reader.read(b"hang"))
        assert await reader.read(b"select 1") == ()
        assert not hanging.done()
        hanging.cancel()
        await asyncio.wait({hanging})

    play(act, MOODY)


def test_an_answer_that_nobody_waited_for_is_never_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(reader: StatementReader) -> None:
        for _ in range(10):
            left = asyncio.ensure_future(reader.read(b"select secret from customers"))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.wait({left})
            facts = await reader.read(b"drop table orders")
            assert not isinstance(facts, Unreadable)
            assert facts[0].kind == "drop"

    play(act)


def test_a_reader_that_cannot_start_denies_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(reader: StatementReader) -> None:
        assert isinstance(await reader.read(b"select 1"), Unreadable)

    play(act, "raise SystemExit(1)")
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    play(act, "")


def test_the_child_knows_nothing_of_the_brokers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    spy = """
        import os, sys
        while header := sys.stdin.buffer.read(4):
            sys.stdin.buffer.read(int.from_bytes(header, "big"))
            text = "no" if "DATABASE_PASSWORD" not in os.environ else "yes"
            answer = b"\\x81\\xa6reason" + bytes([0xA0 + len(text)]) + text.encode()
            sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
            sys.stdout.flush()
    """

    async def act(reader: StatementReader) -> None:
        assert await reader.read(b"") == Unreadable("no")

    play(act, spy)


def test_a_child_whose_owner_is_gone_ends_in_silence() -> None:
    ends, answers = os.pipe()
    os.close(ends)
    child = subprocess.Popen(
        [sys.executable, "-m", "hoopx_broker.policy.facts.child"],
        stdin=subprocess.PIPE,
        stdout=answers,
        stderr=subprocess.PIPE,
    )
    os.close(answers)
    _, complaints = child.communicate(b"\0\0\0\x08select 1")
    assert complaints == b""

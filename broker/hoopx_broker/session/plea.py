"""A statement that people are asked about: what is known of it, and how its client is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from hoopx_broker.session.reader import Facts
from hoopx_broker.terms.entries import Approval
from hoopx_broker.terms.rulings import Ask, Deny
from hoopx_broker.wire.effects import Judge


class Say(Protocol):
    """Tell the client, and the person at the session, of what its statement waits for."""

    def __call__(self, text: str, hint: str, approval: Approval | None = None, /) -> None: ...


class Plea(Struct, frozen=True):
    """`facts` are what it was judged by. `path` is where its names are looked for, None where that is not sure.

    `changed` looks again: it gives why the statement would not do the same any more, empty where it would. `reveals`
    where how many rows it touches would tell of values that are masked in its session.
    """

    asked: Judge
    ruling: Ask
    facts: Facts
    path: tuple[str, ...] | None
    say: Say
    changed: Callable[[], Awaitable[str]]
    reveals: bool = False


# The groups that agreed and the request's id.
Agreed = tuple[frozenset[str], str]

# Ask people about a statement; gives what they agreed to, or why it shall not run.
AskPeople = Callable[[Plea], Awaitable[Agreed | Deny]]

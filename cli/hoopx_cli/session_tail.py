"""What `hoopx sessions tail` does: the last entries of a recording, and those that come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import BinaryIO, TypeVar

from hoopx_broker.recording.failures import TornEnd
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.pieces import as_file
from hoopx_broker.recording.replay import Moment, Narrator, jsonl, moments
from hoopx_broker.terms.entries import Columns, StreamClosed
from hoopx_cli.folding import tell_folded
from hoopx_cli.following import Window
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form

T = TypeVar("T")
# Opens a recording; it calls what it is given when all that is there by now was read.
Opener = Callable[[Callable[[], None]], AbstractContextManager[BinaryIO]]


def tail(kit: Kit, opener: Opener, identity: AgeIdentity | None, last: int, *, grows: bool) -> None:
    """The last entries of what is there, and all that come after. One that `grows` may end inside an entry."""
    if kit.out.form is Form.JSON:
        _show(kit, opener, lambda file: jsonl(moments(file, identity)), Window[str](last, kit.out.data), grows=grows)
        return
    narrator = Narrator()
    window: Window[Moment] = Window(last, lambda told: _print(kit, narrator, told), lambda told: _pass(narrator, told))
    _show(kit, opener, lambda file: moments(file, identity), window, grows=grows)


@contextmanager
def growing(kit: Kit, session: str, caught_up: Callable[[], None]) -> Iterator[BinaryIO]:
    """The recording of a session until that is over."""
    with closing(kit.api.tail(session)) as pieces:
        is_behind = True

        def following() -> bytes | None:
            nonlocal is_behind
            for piece in pieces:
                if piece:
                    return piece
                if is_behind:
                    is_behind = False
                    caught_up()
            return None

        yield as_file(following)


def _show(
    kit: Kit, opener: Opener, told_in: Callable[[BinaryIO], Iterator[T]], window: Window[T], *, grows: bool
) -> None:
    with opener(window.open) as file:
        try:
            for told in told_in(file):
                window.take(told)
        except TornEnd:
            if not grows:
                raise
            kit.out.say("its last entry is not whole: it is being written, or its broker crashed")
        window.open()


def _print(kit: Kit, narrator: Narrator, told: Moment) -> None:
    """The recording room made these lines inert."""
    for line in narrator.tell(*told):
        tell_folded(kit.out, line)


def _pass(narrator: Narrator, told: Moment) -> None:
    """What is not shown, but has a say in how rows are shown that come later."""
    if isinstance(told[1], Columns | StreamClosed):
        list(narrator.tell(*told))

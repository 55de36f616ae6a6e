"""`hoopx approve --watch`: what waits for this approver, as it comes, to be read and answered in one place."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TYPE_CHECKING

from hoopx_broker.api.messages import Listed, Past
from hoopx_broker.terms.errors import HoopxError, Unreachable
from hoopx_cli import names
from hoopx_cli.api import LONGEST_POLL_SECONDS, Api
from hoopx_cli.keys import Key
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.requested import asked_for, gist, requester_of
from hoopx_cli.targets import people
from hoopx_cli.watch_board import Answer, Board, Open, Quit
from hoopx_cli.watch_paint import paint

if TYPE_CHECKING:
    from hoopx_cli.credential import Credential
    from hoopx_cli.terminal import Terminal

AGAIN_SECONDS = 3.0  # before a broker that was lost is asked again
TICK_SECONDS = 1.0  # for the time that is left


def watch(kit: Kit) -> int:
    """On a terminal until `q`; elsewhere a line for each new request until Ctrl-C. Raises what ends it."""
    is_screen = kit.out.is_live and kit.out.is_terminal and sys.stdin.isatty() and kit.out.form is Form.TABLE
    if is_screen and find_spec("termios") is not None:
        return _Watch(kit).run()
    return _print_as_they_come(kit)


def _print_as_they_come(kit: Kit) -> int:
    printed: set[str] = set()
    is_lost = False
    for news in _news(kit.api, kit.api.to_decide()):
        if isinstance(news, Unreachable):
            if not is_lost:
                kit.out.insist(f"{news.message}; asking again until it answers")
            is_lost = True
            continue
        is_lost = False
        waiting = sorted(news.requests, key=lambda one: one.created_at)
        printed = {one.id for one in waiting if one.id in printed or _is_printed(kit, one.id)}
        names.keep(kit.settings, "requests", printed)
    return 0


def _is_printed(kit: Kit, request: str) -> bool:
    """False where the broker was lost on the way: it is tried again."""
    try:
        one = kit.api.request(request)
    except Unreachable:
        return False
    except HoopxError:  # it went as soon as it came
        return True
    if kit.out.form is Form.JSON:
        kit.out.json(one)
        return True
    told = (one.id, people(one.approvers), f"{requester_of(one)}: {asked_for(one)}", gist(one))
    kit.out.text("  ".join(each for each in told if each))
    return True


def _news(api: Api, first: Listed) -> Iterator[Listed | Unreachable]:
    """What waits, again and again: as soon as it has changed, and at times when it has not."""
    listed = first
    while True:
        yield listed
        try:
            listed = api.to_decide(listed.cursor, LONGEST_POLL_SECONDS)
        except Unreachable as error:
            yield error
            time.sleep(AGAIN_SECONDS)


class _Watch:
    """The screen, and a thread beside it that waits at the broker for what is new."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._api = Api(kit.settings, kit.tls, _in_turn(kit.credential))
        self._board = Board()
        self._heard: SimpleQueue[Listed | Exception] = SimpleQueue()
        self._user = ""
        self._is_lost = False

    def run(self) -> int:
        # A login that has ended, or a broker that is not there, is better told before the screen changes.
        self._user = self._api.whoami().user
        first = self._api.to_decide()
        # Not on every system.
        from hoopx_cli.terminal import whole_terminal

        with whole_terminal(self._kit.out.paint, has_colour=self._kit.out.has_colour) as terminal:
            threading.Thread(target=self._listen, args=(first, terminal.wake), daemon=True).start()
            return self._attend(terminal)

    def _listen(self, first: Listed, wake: Callable[[], None]) -> None:
        try:
            for news in _news(self._api, first):
                self._heard.put(news)
                wake()
        except Exception as error:
            self._heard.put(error)
            wake()

    def _attend(self, terminal: Terminal) -> int:
        while True:
            self._hear(terminal)
            self._paint(terminal)
            for typed in terminal.typed(TICK_SECONDS):
                if typed is Key.REDRAW:
                    terminal.forget()
                match self._board.press(typed):
                    case Quit():
                        return 0
                    case Open(request):
                        self._open(request)
                    case Answer() as answer:
                        self._board.note = "voting"
                        self._paint(terminal)
                        self._answer(answer)
                # What was typed behind it was meant for what it shows.
                self._paint(terminal)

    def _paint(self, terminal: Terminal) -> None:
        columns, rows = terminal.size()
        where = "the broker is lost, asking again" if self._is_lost else self._user
        view = paint(self._board, columns, rows, time.time(), where)
        terminal.paint(view.lines, view.cursor)

    def _hear(self, terminal: Terminal) -> None:
        while not self._heard.empty():
            news = self._heard.get()
            self._is_lost = isinstance(news, Unreachable)
            if isinstance(news, Exception) and not self._is_lost:
                raise news
            if isinstance(news, Listed):
                is_new, gone = self._board.take(news.requests)
                for request in gone:
                    self._tell_of(request)
                names.keep(self._kit.settings, "requests", self._board.waiting)
                if is_new:
                    terminal.ring()

    def _tell_of(self, request: str) -> None:
        """What became of one that does not wait any more."""
        with suppress(HoopxError):  # that it has gone is seen in any case
            self._board.decided(self._api.request(request))

    def _open(self, request: str) -> None:
        try:
            self._board.show(self._api.request(request), self._past(request))
        except HoopxError as error:
            self._board.refused(error.message)

    def _past(self, request: str) -> Past | None:
        """Good to know, but nobody votes on it."""
        try:
            return self._api.past(request)
        except HoopxError:
            return None

    def _answer(self, answer: Answer) -> None:
        try:
            self._board.answered(self._api.vote(answer.request, answer.verdict, answer.comment))
        except HoopxError as error:
            self._tell_of(answer.request)  # it may be decided meanwhile
            self._board.refused(error.message)


def _in_turn(credential: Callable[[], Credential]) -> Callable[[], Credential]:
    """Two threads ask for it, and a login is renewed by one."""
    turn = threading.Lock()

    def one_by_one() -> Credential:
        with turn:
            return credential()

    return one_by_one

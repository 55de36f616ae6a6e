"""What waits for one approver: the list, the request that is open, the answer that is being written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.api.messages import Past, RequestView
from hoopx_cli.keys import Char, Key, Pasted, Typed
from hoopx_cli.requested import requester_of

Verdict = Literal["approve", "deny"]
MAX_COMMENT = 2_000  # characters, as the broker takes them


class Open(Struct, frozen=True):
    """Show this request, as it is now."""

    request: str


class Answer(Struct, frozen=True):
    """Vote on this request, which has been shown."""

    request: str
    verdict: Verdict
    comment: str


class Quit(Struct, frozen=True):
    """Leave; nothing more is answered."""


Wish = Open | Answer | Quit


class Card(Struct, frozen=True):
    """The request that is open. `top` is the first line on the screen.

    `read_to` is how many of its lines have been on the screen, from the first on without a gap, and `essential` how
    many must have been before it can be approved; the screen tells both.
    """

    request: RequestView
    past: Past | None = None
    top: int = 0
    read_to: int = 0
    essential: int = 1
    columns: int = 0

    @property
    def is_read(self) -> bool:
        return self.read_to >= self.essential

    @property
    def is_open(self) -> bool:
        return self.request.state == "waiting"


class Prompt(Struct, frozen=True):
    """A vote that is being written: Enter casts it."""

    verdict: Verdict
    comment: str = ""


class Board:
    """Arrivals are put at the end and the choice stays with its request, so that nothing moves under a finger."""

    def __init__(self) -> None:
        self.waiting: dict[str, RequestView] = {}
        self.fresh: set[str] = set()
        self._answered: set[str] = set()  # a list that was made before one's own vote still has it
        self.chosen = ""
        self.card: Card | None = None
        self.prompt: Prompt | None = None
        self.note = ""
        self.page = 1  # lines that a page key moves by; the screen tells

    # What the broker says.

    def take(self, requests: Iterable[RequestView]) -> tuple[bool, list[str]]:
        """What waits now. Tells whether anything is new, and which have gone."""
        found = sorted(requests, key=lambda one: (one.created_at, one.id))
        now = {one.id: one for one in found if one.id not in self._answered}
        gone = [id_ for id_ in self.waiting if id_ not in now]
        new = [id_ for id_ in now if id_ not in self.waiting]
        for id_ in gone:
            self._drop(id_)
        self.waiting |= now
        self.fresh |= set(new)
        self.chosen = self.chosen or next(iter(self.waiting), "")
        if self.card is not None and (seen := now.get(self.card.request.id)) is not None:
            news = {"state": seen.state, "ballots": seen.ballots, "expires_at": seen.expires_at}
            self.card = replace(self.card, request=replace(self.card.request, **news))  # lists have no whole statements
        return bool(new), gone

    def decided(self, request: RequestView) -> None:
        """Somebody, or time, has decided it: it is no more to be answered."""
        self._drop(request.id)
        self.note = f"{request.id} of {requester_of(request)} {_outcome(request)}"
        if self.card is not None and self.card.request.id == request.id:
            self.card = replace(self.card, request=request)
            self.prompt = None

    def answered(self, request: RequestView) -> None:
        """One's own vote has been cast."""
        self._answered.add(request.id)
        self._drop(request.id)
        self.card = self.prompt = None
        counted = "has your vote, and waits for more" if request.state == "waiting" else f"is {request.state}"
        self.note = f"{request.id} {counted}"

    def refused(self, why: str) -> None:
        """The broker does not take an answer."""
        self.prompt = None
        self.note = why

    def show(self, request: RequestView, past: Past | None) -> None:
        self.fresh.discard(request.id)
        self.card, self.prompt, self.note = Card(request, past), None, ""
        if request.state != "waiting":
            self._drop(request.id)

    def _drop(self, request: str) -> None:
        """The choice goes to what takes its place."""
        ids = list(self.waiting)
        if request in self.waiting and request == self.chosen:
            at = ids.index(request)
            rest = ids[at + 1 :] + ids[:at][::-1]
            self.chosen = rest[0] if rest else ""
        self.waiting.pop(request, None)
        self.fresh.discard(request)

    # What the person types.

    def press(self, typed: Typed) -> Wish | None:
        if self.prompt is not None:
            return self._write(typed, self.prompt)
        match typed:
            case Char("q"):
                return Quit()
            case Pasted():
                return None
            case _:
                self.note = ""
                return self._in_list(typed) if self.card is None else self._in_card(typed, self.card)

    def _in_list(self, typed: Typed) -> Wish | None:
        match typed:
            case Key.UP | Char("k"):
                self._move(-1)
            case Key.DOWN | Char("j"):
                self._move(1)
            case Key.PAGE_UP:
                self._move(-self.page)
            case Key.PAGE_DOWN | Char(" "):
                self._move(self.page)
            case Key.HOME | Char("g"):
                self._move(-len(self.waiting))
            case Key.END | Char("G"):
                self._move(len(self.waiting))
            case Key.ENTER | Char("o"):
                return Open(self.chosen) if self.chosen else None
            case Char("a" | "d"):
                self.note = "open it first, with Enter: what would run is shown before it is answered"
        return None

    def _move(self, by: int) -> None:
        ids = list(self.waiting)
        if ids:
            at = ids.index(self.chosen) + by
            self.chosen = ids[min(max(at, 0), len(ids) - 1)]

    def _in_card(self, typed: Typed, card: Card) -> Wish | None:
        match typed:
            case Key.ESCAPE | Key.BACKSPACE:
                self.card = None
            case Key.UP | Char("k"):
                self.card = replace(card, top=card.top - 1)
            case Key.DOWN | Char("j"):
                self.card = replace(card, top=card.top + 1)
            case Key.PAGE_UP:
                self.card = replace(card, top=card.top - self.page)
            case Key.PAGE_DOWN | Char(" "):
                self.card = replace(card, top=card.top + self.page)
            case Key.HOME | Char("g"):
                self.card = replace(card, top=0)
            case Char("a") if card.is_open and not card.is_read:
                self.note = "read on to the end of what would run, with Space"
            case Char("a") if card.is_open:
                self.prompt = Prompt("approve")
            case Char("d") if card.is_open:
                self.prompt = Prompt("deny")
            case Char("a" | "d"):
                self.note = "it is decided already"
        return None

    def _write(self, typed: Typed, prompt: Prompt) -> Wish | None:
        comment = prompt.comment
        match typed:
            case Key.ENTER:
                assert self.card is not None  # a prompt belongs to it
                return Answer(self.card.request.id, prompt.verdict, comment.strip())
            case Key.ESCAPE:
                self.prompt = None
                return None
            case Key.BACKSPACE:
                comment = comment[:-1]
            case Key.ERASE_WORD:
                comment = comment.rstrip().rpartition(" ")[0]
            case Key.ERASE_LINE:
                comment = ""
            case Char(text) | Pasted(text):
                comment = (comment + text)[:MAX_COMMENT]
        self.prompt = replace(prompt, comment=comment)
        return None


def _outcome(request: RequestView) -> str:
    """`was denied by dave: not today`"""
    if request.state == "waiting":
        return "does not wait for you any more"
    word = request.ballots[-1] if request.ballots and request.state in ("approved", "denied") else None
    by = f" by {word.approver}" if word else ""
    comment = f": {word.comment}" if word and word.comment else ""
    return f"{'ran out of time' if request.state == 'expired' else f'was {request.state}'}{by}{comment}"

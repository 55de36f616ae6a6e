"""The board of `approve --watch`: nothing is answered unread, nothing moves under a finger, and every screen fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.api.messages import Ballot, Past, RequestView
from hoopx_broker.terms.approvals import Effects
from hoopx_cli.inert import inert_lines, width
from hoopx_cli.keys import Char, Key, Keyboard, Pasted, Typed
from hoopx_cli.screen import cut, exactly, wrapped
from hoopx_cli.watch_board import Answer, Board, Open, Quit, Wish
from hoopx_cli.watch_paint import View, paint

NOW = 1_000_000.0
HOSTILE = "DELETE FROM p\u0430yments /* \u202e 1 = id */ WHERE true\x1b[2J"
LONG = "\n".join(f"UPDATE orders SET paid = true WHERE id = {number};" for number in range(60))


def request(id_: str = "r_1", **more: Any) -> RequestView:
    facts: dict[str, Any] = {
        "id": id_,
        "state": "waiting",
        "kind": "statement",
        "target": "shop-prod",
        "requester": "ann",
        "reason": "month end",
        "ticket": "",
        "duration": 0,
        "rules": ("payments-need-a-dba",),
        "approvers": {"dba": 1},
        "created_at": NOW + float(id_.removeprefix("r_")),
        "expires_at": NOW + 900,
        "statement": "DELETE FROM payments WHERE id = 1",
    }
    return RequestView(**(facts | more))


def board(*requests: RequestView) -> Board:
    made = Board()
    made.take(requests)
    return made


def press(made: Board, *typed: Typed) -> Wish | None:
    """The wish of the last key."""
    wish = None
    for each in typed:
        wish = made.press(each)
    return wish


def screen(made: Board, columns: int = 80, rows: int = 24) -> View:
    return paint(made, columns, rows, NOW, "dora")


def text(view: View) -> str:
    return "\n".join(line.text for line in view.lines)


def shown(made: Board, one: RequestView, columns: int = 80, rows: int = 24) -> Board:
    made.show(one, Past((request("r_7", state="used", kind="session"),)))
    screen(made, columns, rows)
    return made


def test_nothing_is_answered_from_the_list() -> None:
    made = board(request())
    for key in "ad":
        assert press(made, Char(key), Key.ENTER) == Open("r_1")
        assert made.prompt is None


def test_an_open_request_is_answered_with_a_comment() -> None:
    made = shown(board(request()), request())
    typed: list[Typed] = [Char("a"), *map(Char, "fine by ne"), Key.BACKSPACE, Key.BACKSPACE, Char("m"), Char("e")]
    assert press(made, *typed) is None
    assert "approve r_1?" in text(screen(made))
    assert press(made, Key.ENTER) == Answer("r_1", "approve", "fine by me")
    assert press(shown(board(request()), request()), Char("d"), Key.ENTER) == Answer("r_1", "deny", "")


def test_a_statement_longer_than_the_screen_is_read_to_its_end_before_it_is_approved() -> None:
    made = shown(board(request()), request(statement=LONG))
    assert press(made, Char("a")) is None
    assert made.prompt is None
    assert "read on" in text(screen(made))
    press(made, Char("d"))
    assert made.prompt is not None, "to refuse it, the beginning is enough"
    press(made, Key.ESCAPE)
    for _ in range(4):
        press(made, Char(" "))
        screen(made)
    press(made, Char("a"))
    assert made.prompt is not None


def test_lines_that_were_jumped_over_are_not_read() -> None:
    made = shown(board(request()), request(statement=LONG))
    press(made, *[Key.PAGE_DOWN] * 9)  # all in one go: nothing between was ever painted
    screen(made)
    press(made, Char("a"))
    assert made.prompt is None


def test_what_is_pasted_is_never_a_command() -> None:
    made = shown(board(request()), request())
    assert press(made, Pasted("a"), Pasted("q"), Pasted("a\n")) is None
    assert made.prompt is None
    press(made, Char("d"), Pasted("not\x1b today"))
    assert made.prompt is not None
    assert made.prompt.comment == "not\x1b today"  # the keyboard takes such out; the screen shows them
    assert "\x1b" not in text(screen(made))


def test_arrivals_do_not_move_the_choice() -> None:
    made = board(request("r_2"), request("r_3"))
    press(made, Key.DOWN)
    is_new, gone = made.take([request("r_1"), request("r_2"), request("r_3"), request("r_4")])
    assert (is_new, gone) == (True, [])
    assert press(made, Key.ENTER) == Open("r_3")
    assert list(made.waiting)[-1] == "r_4"


def test_new_ones_are_marked_until_they_are_opened() -> None:
    made = board(request("r_1"), request("r_2"))
    assert text(screen(made)).count("*") == 2
    made.show(request("r_1"), None)
    press(made, Key.ESCAPE)
    assert text(screen(made)).count("*") == 1


def test_what_others_decided_vanishes_and_says_so() -> None:
    made = board(request("r_1"), request("r_2"))
    assert made.take([request("r_2")]) == (False, ["r_1"])
    made.decided(request("r_1", state="denied", ballots=(Ballot("dave", "deny", "not today", NOW),)))
    seen = text(screen(made))
    assert "r_1 of ann was denied by dave: not today" in seen
    assert "1 to decide" in seen
    assert press(made, Key.ENTER) == Open("r_2")


def test_what_is_decided_while_it_is_open_cannot_be_answered() -> None:
    made = shown(board(request()), request())
    press(made, Char("a"), Char("x"))
    made.decided(request(state="approved", ballots=(Ballot("dave", "approve", "", NOW),)))
    assert made.prompt is None
    assert press(made, Key.ENTER) is None
    assert press(made, Char("a")) is None
    assert made.prompt is None
    seen = text(screen(made))
    assert "decided already" in seen
    assert "a approve" not in seen


def test_what_a_list_leaves_out_stays_on_an_open_request() -> None:
    made = shown(board(request()), request(statement=LONG))
    made.take([request(statement=LONG[:20], ballots=(Ballot("dave", "approve", "", NOW),), approvers={"dba": 2})])
    assert made.card is not None
    assert made.card.request.statement == LONG
    assert made.card.request.ballots


def test_ones_own_vote_takes_it_off_the_list_for_good() -> None:
    made = board(request())
    made.show(request(), None)
    made.answered(request(approvers={"dba": 2}))
    assert "waits for more" in made.note
    made.take([request()])  # made before the vote, and late
    assert not made.waiting


def test_a_request_is_shown_for_what_it_is() -> None:
    effects = Effects(("delete",), ("delete public.payments",), ("pg_sleep",), rows=12_345.0)
    one = request(
        statement=HOSTILE, effects=effects, approvers={"dba": 2, "security": 1}, requester="bot", on_behalf_of="ann"
    )
    seen = text(screen(shown(board(one), one), 100, 60))
    for told in (
        "U+0430 CYRILLIC SMALL LETTER A, looks like a",
        "U+202E RIGHT-TO-LEFT OVERRIDE",
        "delete public.payments",
        "calls pg_sleep",
        "about 12,345",
        "3 of 3 to agree",
        "bot on behalf of ann",
        "used: a session on shop-prod",
    ):
        assert told in seen
    assert seen.isprintable() or seen.replace("\n", "").isprintable()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 24), (20, 6), (200, 10), (19, 24), (80, 5)])
def test_every_screen_fits_whatever_its_size(columns: int, rows: int) -> None:
    wide = request("r_1", requester="名前" * 40, reason="\N{THUMBS UP SIGN}" * 100, statement=HOSTILE + LONG)
    made = board(wide, *(request(f"r_{number}") for number in range(2, 40)))
    views = [screen(made, columns, rows)]
    made.show(wide, None)
    views.append(screen(made, columns, rows))
    made.prompt = None
    press(made, Char("d"), Pasted("名前" * 100))
    views.append(screen(made, columns, rows))
    for view in views:
        assert len(view.lines) == rows
        assert all(width(line.text) <= columns and line.text.isprintable() for line in view.lines)


@given(st.text(max_size=200), st.integers(4, 90))
def test_a_statement_is_laid_out_to_the_letter(statement: str, room: int) -> None:
    laid = list(exactly(statement, room))
    whole = "".join(("\n" if line[0] == "│" else "") + line[2:] for line in laid)[1:]
    assert whole == "\n".join(inert_lines(statement))
    assert all(width(line) <= max(room, 4) for line in laid)


@given(st.text(max_size=200), st.integers(4, 90))
def test_prose_fits_and_loses_nothing_but_blanks(prose: str, room: int) -> None:
    laid = list(wrapped(prose, room))
    assert "".join("".join(laid).split(" ")) == "".join("".join(inert_lines(prose)).split(" "))
    assert all(width(line) <= room for line in laid)
    assert width(cut(prose, room)) <= room


@given(st.binary(max_size=60), st.integers(0, 60))
def test_keys_are_the_same_however_their_bytes_are_cut(data: bytes, at: int) -> None:
    whole, pieces = Keyboard(), Keyboard()
    assert whole.feed(data) == [*pieces.feed(data[:at]), *pieces.feed(data[at:])]


def test_keys_as_terminals_send_them() -> None:
    keyboard = Keyboard()
    assert keyboard.feed(b"\x1b[A\x1bOB\x1b[5~\x1b[6~\r\x7f") == [
        Key.UP,
        Key.DOWN,
        Key.PAGE_UP,
        Key.PAGE_DOWN,
        Key.ENTER,
        Key.BACKSPACE,
    ]
    assert keyboard.feed(b"\x1b[200~a\r\ra\x1b[20") == []
    assert keyboard.feed(b"1~\x1b") == [Pasted("a a")]
    assert keyboard.is_in_doubt
    assert keyboard.settle() == [Key.ESCAPE]
    assert keyboard.feed(b"\x1b[99;99Rq\x01\xc3\xa4") == [Char("q"), Char("ä")]  # unknown ones mean nothing


def test_q_leaves_but_not_out_of_a_comment() -> None:
    made = shown(board(request()), request())
    assert press(made, Char("d"), Char("q")) is None
    assert press(made, Key.ESCAPE, Char("q")) == Quit()

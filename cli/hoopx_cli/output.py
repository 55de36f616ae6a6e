"""The only room that prints: stdout carries data, stderr everything for people."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from io import TextIOBase
from typing import Any, TextIO

import msgspec

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.inert import inert, inert_lines, width
from hoopx_cli.menu import room
from hoopx_cli.screen import cut

_GAP = "  "  # between columns
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "cyan": "36"}
_BELOW = "    "  # before a cell that stands below its row
MIN_COLUMNS = 20  # a terminal that says it is narrower is not read by anybody


class Form(Enum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"  # of the one command whose data goes into a file of YAML
    JSONL = "jsonl"  # of `sql`, whose rows come one by one
    CSV = "csv"


class Output:
    """Two streams and how much to say on them."""

    def __init__(self, stdout: TextIO, stderr: TextIO, environ: Mapping[str, str]) -> None:
        self._stdout = stdout
        self._stderr: TextIO | TextIOBase = stderr
        self.form = Form.TABLE
        self.is_quiet = False
        self.is_verbose = False
        self.shows_traces = False
        self.is_live = stderr.isatty() and environ.get("TERM") != "dumb"
        self.takes_colour = environ.get("NO_COLOR", "") == "" and environ.get("TERM") != "dumb"
        self.has_colour = stdout.isatty() and self.takes_colour
        self._status = ""
        self._shows_status = self.is_live and self.takes_colour  # what moves is as unwelcome as colour
        self._teller: Callable[[str], None] | None = None

    def data(self, text: str) -> None:
        """A line of data, as it is: the caller made foreign text inert."""
        with writing():
            print(text, file=self._stdout, flush=True)

    def text(self, block: str) -> None:
        """Lines of text from elsewhere."""
        self.data("\n".join(inert_lines(block)))

    def styled(self, text: str, style: str) -> None:
        """A line in words of `_STYLES`, where the terminal has colours."""
        codes = ";".join(_STYLES[word] for word in style.split())
        self.data(f"\x1b[{codes}m{text}\x1b[0m" if self.has_colour else text)

    def raw(self, chunk: bytes) -> None:
        """Bytes for a file or a pipe."""
        with writing():
            self._stdout.flush()
            self._stdout.buffer.write(chunk)
            self._stdout.buffer.flush()

    def paint(self, codes: str) -> None:
        """A screen drawn by ourselves, escape codes and all; what the terminal cannot show leaves a mark as wide."""
        self.raw(codes.encode(self._stdout.encoding or "utf-8", "replace"))

    def encoded(self, text: str) -> bytes:
        """Text as standard output writes it."""
        return text.encode(self._stdout.encoding or "utf-8", "backslashreplace")

    @property
    def is_terminal(self) -> bool:
        return self._stdout.isatty()

    @property
    def columns(self) -> int | None:
        """How wide the terminal is now; None where there is none, and so no edge to break lines at."""
        return room() if self.is_terminal else None

    def json(self, value: Any) -> None:
        """One JSON document on one line; what is not ASCII is escaped only where it could act on a terminal."""
        self.data(inert_json(msgspec.json.encode(value).decode()))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], spare: Sequence[str] = ()) -> None:
        """Aligned columns under capital headings; every cell made inert.

        Where a terminal is too narrow, columns of `spare` are left out, the first of them first, and a last cell for
        which there is no room stands below its row.
        """
        lines = [[name.upper() for name in columns], *([inert(cell) for cell in row] for row in rows)]
        widths = [max(width(line[at]) for line in lines) for at in range(len(columns))]
        shown = _fitting(columns, widths, spare, self.columns)
        for number, line in enumerate(lines):
            for text in self._laid([line[at] for at in shown], [widths[at] for at in shown], is_heading=not number):
                self.data(text if number else self._bold(text))
        if left_out := [name for at, name in enumerate(columns) if at not in shown]:
            self.say(f"left out for want of room: {', '.join(left_out)}; `-o json` has them, and a wider terminal")

    def _laid(self, cells: Sequence[str], widths: Sequence[int], *, is_heading: bool) -> list[str]:
        """A row, in one line or with its last cell below."""
        whole, room = _line(cells, widths), self.columns
        if room is None or width(whole) <= room:
            return [whole]
        from textwrap import wrap

        below = [] if is_heading else wrap(cells[-1], max(room, MIN_COLUMNS) - len(_BELOW))
        return [_line(cells[:-1], widths[:-1]), *(_BELOW + line for line in below)]

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """One fact a line, `name: value`; facts without a value are left out."""
        shown = [(name, value) for name, value in pairs if value]
        column = max((len(name) for name, _ in shown), default=0) + 2
        for name, value in shown:
            head, *rest = inert_lines(value)
            self.data(f"{name}:".ljust(column) + head)
            for line in rest:
                self.data(" " * column + line)

    def say(self, text: str) -> None:
        """Something a person wants to know; `-q` silences it."""
        if not self.is_quiet:
            self._tell(text)

    def detail(self, text: str) -> None:
        """Something only `-v` shows."""
        if self.is_verbose:
            self._tell(text)

    def insist(self, text: str) -> None:
        """Something a person must know even with `-q`."""
        self._tell(text)

    def ask(self, question: str) -> None:
        """A question whose answer is typed behind it."""
        self.status("")
        print(inert(question), end="", file=self._stderr, flush=True)

    def error(self, message: str, hint: str = "") -> None:
        self._tell(f"hoopx: {message}")
        if hint:
            self._tell(f"  {hint}")

    def picture(self, lines: Sequence[str]) -> None:
        """Lines drawn by ourselves, escape codes and all, where `room_for_pictures` said that they fit."""
        self.status("")
        print("".join(f"{line}\n" for line in lines), end="", file=self._stderr, flush=True)

    def room_for_pictures(self) -> tuple[int, int] | None:
        """Columns and lines of the terminal where people read, None where there is none or it should stay quiet."""
        if not self.is_live or self.is_quiet:
            return None
        try:
            return os.get_terminal_size(self._stderr.fileno())
        except OSError:
            return None

    def status(self, text: str) -> None:
        """A line that is rewritten in place, on a live terminal only; the empty text clears it."""
        if not self._shows_status or self.is_quiet or not (text or self._status):
            return
        if text and (room := self.status_room) is not None:
            text = cut(text, room)
        # What stands there already is not painted again, but the terminal is touched: that tells whether it is gone.
        print("\r" if text == self._status else f"\r\x1b[K{inert(text)}", end="", file=self._stderr, flush=True)
        self._status = text

    @property
    def status_room(self) -> int | None:
        """Columns that such a line has: what goes over the edge could not be taken back."""
        try:
            return max(os.get_terminal_size(self._stderr.fileno()).columns - 1, MIN_COLUMNS)
        except (OSError, ValueError):
            return None

    def lead_to(self, stderr: TextIOBase) -> None:
        """From now on what is for people goes there, and nobody watches it."""
        self.status("")
        self._stderr, self.is_live, self._shows_status = stderr, False, False

    @contextmanager
    def telling(self, teller: Callable[[str], None]) -> Iterator[None]:
        """As long as this lasts, what is said goes where `teller` puts it: a line that is edited is not disturbed."""
        self._teller = teller
        try:
            yield
        finally:
            self._teller = None

    def _tell(self, text: str) -> None:
        if self._teller is not None:
            self._teller(text)
            return
        self.tell_now(text)

    def tell_now(self, text: str) -> None:
        """Whoever edits a line has made room for it."""
        self.status("")
        print("\n".join(inert_lines(text)), file=self._stderr, flush=True)

    def _bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.has_colour else text


@contextmanager
def writing() -> Iterator[None]:
    """A full disk behind standard output is no bug of ours. Raises `BadInput`; a reader that left stays what it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF):
            raise
        why = (error.strerror or "").lower()
        raise BadInput(f"standard output cannot be written: {why}", "what it has got so far is not all") from None


def of_process(environ: Mapping[str, str]) -> Output:
    """The process's own streams. What cannot be encoded is escaped rather than fatal."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    return Output(sys.stdout, sys.stderr, environ)


def moment(at: float) -> str:
    """A time for people: local, to the second, with its offset. 0 is no time."""
    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds") if at else ""


def _fitting(columns: Sequence[str], widths: Sequence[int], spare: Sequence[str], room: int | None) -> list[int]:
    """Which columns there is room for; the last need not fit beside the others."""
    shown = list(range(len(columns)))
    for name in spare:
        if room is None or sum(widths[at] + len(_GAP) for at in shown[:-1]) - len(_GAP) <= room:
            break
        shown.remove(columns.index(name))
    return shown


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (column - width(cell)) for cell, column in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()


def inert_json(document: str) -> str:
    """JSON's own escapes instead of `inert`'s, so that the document still reads back as the same value."""
    if document.isascii() and document.isprintable():
        return document
    return "".join(char if inert(char) == char else _json_escape(char) for char in document)


def _json_escape(char: str) -> str:
    pair = char.encode("utf-16-be")
    return "".join(f"\\u{pair[at : at + 2].hex()}" for at in range(0, len(pair), 2))

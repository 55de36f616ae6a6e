"""Take recorded terminal output apart: what draws passes, what commands a terminal does not."""

from __future__ import annotations

import codecs
import re

from hoopx_broker.terms.unseen import is_unseen

# A sequence that is not over by then is none.
_MAX_SEQUENCE = 128
# Nobody reads more at once, and a size that was made up must not take memory.
MAX_COLUMNS, MAX_ROWS = 500, 200
_REPLACED = "\N{REPLACEMENT CHARACTER}"

_CSI = re.compile(r"(?:\x1b\[|\x9b)([<=>?]?)([0-9:;]*)([ -/]*)([@-~])")
_ESCAPE = re.compile(r"\x1b([ -/]*)([0-~])")
# Commands with a text of any length: OSC sets titles and clipboards, DCS asks, APC, PM and SOS are for programs.
_STRING = re.compile(r"\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]")
_BEGUN = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*\Z|\x1b[ -/]*\Z")
_STRING_END = re.compile(r"\x1b\\|[\x07\x18\x1a\x9c]|\x1b(?=[^\\])")
_TEXT = re.compile(r"[^\x1b\x80-\x9f]+")

# What an emulator is given: moving, erasing, scrolling, colours, margins, tabs and modes.
_DRAWING = frozenset("@ABCDEFGHJKLMPSTX`abdefghlmr")
# The modes of DEC that change what is drawn: keys of the cursor, origin, wrapping, cursor, the other screens.
_MODES = frozenset({5, 6, 7, 25, 47, 1047, 1048, 1049})
_ESCAPES = frozenset("78DEHMc")
_MAX_PARAMETERS = 32
_MAX_NUMBER = 9_999


class Sieve:
    """Reads the bytes of one terminal in pieces, cut anywhere; keeps a bounded rest between them.

    `drawing` is what an emulator may be fed: text, and sequences that draw, none longer than a line. `text` is for
    people: the text alone.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._left = ""
        self._in_string = False

    def copy(self) -> Sieve:
        made = Sieve()
        made._decoder.setstate(self._decoder.getstate())
        made._left, made._in_string = self._left, self._in_string
        return made

    def drawing(self, data: bytes) -> str:
        return "".join(_seen(piece) if is_text else piece for is_text, piece in self._pieces(data))

    def text(self, data: bytes) -> str:
        return "".join(piece for is_text, piece in self._pieces(data) if is_text)

    def _pieces(self, data: bytes) -> list[tuple[bool, str]]:
        text, at = self._left + self._decoder.decode(data), 0
        self._left = ""
        found: list[tuple[bool, str]] = []
        while at < len(text):
            if self._in_string:
                at = self._skip(text, at)
            elif plain := _TEXT.match(text, at):
                found.append((True, plain.group()))
                at = plain.end()
            elif len(text) - at <= _MAX_SEQUENCE and _BEGUN.match(text, at):
                self._left = text[at:]
                break
            else:
                at = self._sequence(text, at, found)
        return found

    def _skip(self, text: str, at: int) -> int:
        """To the end of a command with a text, which may be in a later piece."""
        end = _STRING_END.search(text, at)
        if end is None:
            self._left = "\x1b" if text.endswith("\x1b") else ""
            return len(text)
        self._in_string = False
        return end.end() if end.group() != "\x1b" else end.start()

    def _sequence(self, text: str, at: int, found: list[tuple[bool, str]]) -> int:
        if begun := _STRING.match(text, at):
            self._in_string = True
            return begun.end()
        if sequence := _CSI.match(text, at):
            if drawn := _drawn(*sequence.groups()):
                found.append((False, drawn))
            return sequence.end()
        if sequence := _ESCAPE.match(text, at):
            between, final = sequence.groups()
            if not between and final in _ESCAPES:
                found.append((False, f"\x1b{final}"))
            return sequence.end()
        return at + 1


def _drawn(private: str, parameters: str, between: str, final: str) -> str:
    """The sequence in its plain form; empty where it draws nothing, or asks the terminal for an answer."""
    if between or private not in ("", "?") or final not in _DRAWING or ":" in parameters:
        return ""
    numbers = [min(int(each[:8] or 0), _MAX_NUMBER) for each in parameters.split(";")][:_MAX_PARAMETERS]
    if private:
        if final in "JK":  # selective erasing, as erasing
            return f"\x1b[{numbers[0]}{final}"
        numbers = [number for number in numbers if number in _MODES]
        if final not in "hl" or not numbers:
            return ""
    elif final in "hl":
        numbers = [number for number in numbers if number in (4, 20)]
        if not numbers:
            return ""
    told = ";".join(map(str, numbers)) if parameters else ""
    return f"\x1b[{private}{told}{final}"


def _seen(text: str) -> str:
    """Text without what would turn, hide or stack other text."""
    if text.isascii():
        return text
    return "".join(_REPLACED if not char.isascii() and is_unseen(char) else char for char in text)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Columns and rows of an `r` event, None for what is none."""
    columns, x, rows = data[:16].partition(b"x")
    if not (x and columns.isdigit() and rows.isdigit() and int(columns) and int(rows)):
        return None
    return min(int(columns), MAX_COLUMNS), min(int(rows), MAX_ROWS)

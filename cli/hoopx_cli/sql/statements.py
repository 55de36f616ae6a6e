"""Cut a script into its statements as psql does: at semicolons that stand in no quotes, comments or parentheses.

It only decides what is sent together; what a statement means is read by the broker, with the server's own grammar.
"""

from __future__ import annotations

import re

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput

# No statement by hand comes near it, and a file that is none ends here instead of in memory.
MAX_STATEMENT = 64 * 1024 * 1024

_WORD = r"[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*"
_TOKEN = re.compile(
    rf"""(?P<comment>--[^\n]*)|(?P<block>/\*)|(?P<escaped>[eE]')|(?P<quote>['"])"""
    rf"""|(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)|(?P<word>{_WORD})|(?P<number>\d[\w.]*|\$\d+)"""
    r"""|(?P<open>\()|(?P<close>\))|(?P<end>;)|(?P<space>\s+)|(?P<other>.)""",
    re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_INSIDE = {"'": re.compile(r"'"), '"': re.compile(r'"'), "e": re.compile(r"\\.|'", re.DOTALL)}
_ROUTINES = frozenset({"function", "procedure"})


class Statement(Struct, frozen=True):
    """One statement without its semicolon, and the line of the script that it begins on."""

    text: str
    line: int = 1


class Splitter:
    """Takes text line by line, and gives the statements that end in it."""

    def __init__(self) -> None:
        self._line = 0
        self._reset()

    @property
    def is_inside(self) -> str:
        """What is still open, as psql's prompt tells it: quotes, `*` a comment, `(`, `-` a statement, or nothing."""
        if self._quote:
            return "*" if self._quote == "*" else self._quote[0].replace("e", "'")
        return "(" if self._depth > 0 else "-" if self._has_begun else ""

    def feed(self, line: str) -> list[Statement]:
        """Raises `BadInput` where a statement does not come to an end."""
        self._line += 1
        found: list[Statement] = []
        at = start = 0
        while at < len(line):
            if self._quote:
                at = self._close(line, at)
                continue
            token = _TOKEN.match(line, at)
            assert token is not None  # `other` is any character
            at = token.end()
            if token.lastgroup == "end" and not self._depth and not self._begins:
                self._keep(line[start : at - 1])
                found += self._take()
                start = at
            else:
                self._note(token)
        self._keep(line[start:])
        return found

    def skip(self) -> None:
        """A line that is no SQL."""
        self._line += 1

    def rest(self) -> list[Statement]:
        """The last statement, where no semicolon ends it."""
        return self._take()

    def _reset(self) -> None:
        self._parts: list[str] = []
        self._size = self._depth = self._begins = self._nested = 0
        self._quote = ""  # ', ", e (an escape string), * (a comment), or a dollar tag
        self._words: list[str] = []
        self._has_begun = False
        self._began = 0

    def _keep(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_STATEMENT:
            raise BadInput(f"the statement of line {self._began} does not end", "is there a quote that nothing closes?")
        if text:
            self._parts.append(text)

    def _take(self) -> list[Statement]:
        text, has_begun, began = "".join(self._parts), self._has_begun, self._began
        self._reset()
        return [Statement(text.strip(), began)] if has_begun else []

    def _note(self, token: re.Match[str]) -> None:
        match token.lastgroup:
            case "comment" | "space":
                return
            case "block":
                self._quote, self._nested = "*", 1
                return
            case "escaped":
                self._quote = "e"
            case "quote" | "dollar":
                self._quote = token[0]
            case "open":
                self._depth += 1
            case "close":
                self._depth = max(self._depth - 1, 0)
            case "word":
                self._read(token[0].lower())
            case _:
                pass
        if not self._has_begun:
            self._has_begun, self._began = True, self._line

    def _read(self, word: str) -> None:
        """The body of a routine in SQL (`BEGIN ATOMIC … END`) has semicolons of its own."""
        if len(self._words) < 4:
            self._words.append(word)
        first, *more = self._words
        if self._depth or first != "create" or not _ROUTINES & set(more):
            return
        if word == "begin" or (word == "case" and self._begins):
            self._begins += 1
        elif word == "end" and self._begins:
            self._begins -= 1

    def _close(self, line: str, at: int) -> int:
        """Where what is open ends in this line, or the line's end."""
        if self._quote == "*":
            return self._close_comment(line, at)
        if self._quote[0] == "$":
            found = line.find(self._quote, at)
            if found < 0:
                return len(line)
            at, self._quote = found + len(self._quote), ""
            return at
        while (token := _INSIDE[self._quote].search(line, at)) is not None:
            at = token.end()
            if token[0][0] != "\\":
                self._quote = ""
                return at
        return len(line)

    def _close_comment(self, line: str, at: int) -> int:
        while (token := _COMMENT.search(line, at)) is not None:
            at = token.end()
            self._nested += 1 if token[0] == "/*" else -1
            if not self._nested:
                self._quote = ""
                return at
        return len(line)


def statements_in(text: str) -> list[Statement]:
    """All statements of a text."""
    splitter = Splitter()
    found = [each for line in text.splitlines(keepends=True) for each in splitter.feed(line)]
    return found + splitter.rest()

"""Cut the text of a Cedar file into its policies, so that whatever is said of one can name its line."""

from __future__ import annotations

import re

from msgspec import Struct

# What may hold a semicolon without ending a policy, and the semicolon that does.
_TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|;', re.DOTALL)
_BLANK = re.compile(r"(?:\s|//[^\n]*)*")


class Source(Struct, frozen=True):
    """One policy's text and the line of its first character."""

    file: str
    line: int
    text: str

    def line_of(self, phrase: str) -> int:
        """The line on which `phrase` first stands as a whole word, else the policy's own."""
        found = re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", self.text)
        return self.line + self.text.count("\n", 0, found.start()) if found else self.line


def cut(file: str, text: str) -> list[Source]:
    """The policies of a file, comments between them left out. What follows the last semicolon is one too."""
    sources, start = [], 0
    ends = [token.end() for token in _TOKEN.finditer(text) if token.group() == ";"]
    for end in [*ends, len(text)]:
        blank = _BLANK.match(text, start, end)
        first = blank.end() if blank else start
        if first < end:
            sources.append(Source(file, 1 + text.count("\n", 0, first), text[first:end]))
        start = end
    return sources

"""Show a text to somebody who has to decide on it, so that no character in it can fool them.

What is unseen, or acts on what stands around it, and what looks like ASCII and is not, is written out:
`‹U+202E RIGHT-TO-LEFT OVERRIDE›`, `‹U+0430 CYRILLIC SMALL LETTER A, looks like a›`. Everything else stays as it is,
line ends and tabs too, and `original` gives back the text to the letter.

Words of another script stay readable: a look-alike letter is written out where its word mixes scripts, and where
nothing in its word shows that it is of another script. Where quotes begin and end plays no part in this, since that is
what a hostile text plays with. Look-alikes of signs (quotes, dashes, semicolons) are always written out in statements.

Limits: those of `lookalikes`. Letters of right-to-left scripts turn the signs and numbers beside them around on
displays that follow the bidirectional algorithm; a page shows the text with `unicode-bidi: bidi-override`. Blank space
is left as it is: of a statement, its canonical form has none to hide in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from msgspec import Struct

from hoopx_broker.api.lookalikes import likeness
from hoopx_broker.terms.unseen import MAX_STACK, is_unseen

_OPEN, _CLOSE = "\u2039", "\u203a"
_MARK = re.compile(f"{_OPEN}U\\+([0-9A-F]{{4,6}})[^{_CLOSE}]*{_CLOSE}")
_LAYOUT = frozenset("\n\t")
# Unicode has no names for control characters.
_CONTROLS = {
    "\0": "NULL",
    "\a": "BELL",
    "\b": "BACKSPACE",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
}
# In a word with letters of ASCII, any letter of these may be taken for one of it.
_SCRIPTS_ALIKE = ("CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "GEORGIAN", "LISU", "DESERET", "GOTHIC")
_WORD = re.compile(r"\w+")


class Suspect(Struct, frozen=True):
    """A character that would not be seen for what it is. `at` counts characters from 0.

    `looks_like` is the ASCII that it is taken for; empty where it is not seen at all, or acts on others.
    """

    at: int
    code: int
    name: str
    looks_like: str = ""

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        like = f", looks like {self.looks_like}" if self.looks_like else ""
        return f"{_OPEN}U+{self.code:04X}{name}{like}{_CLOSE}"


def visible(text: str) -> str:
    """`text`, a statement or a name, with every suspect written out."""
    return text if _is_plain(text) else _written_out(text, suspects(text))


def visible_prose(text: str) -> str:
    """As `visible`, for what people wrote to each other: their dashes and quotation marks are left as they are."""
    return text if _is_plain(text) else _written_out(text, _suspects(text, frozenset(_OPEN + _CLOSE)))


def suspects(text: str) -> tuple[Suspect, ...]:
    """All that `visible` writes out, in order."""
    return () if _is_plain(text) else _suspects(text, None)


def original(shown: str) -> str:
    """The text that `visible`, or `visible_prose`, has shown so."""
    return _MARK.sub(lambda mark: chr(int(mark.group(1), 16)), shown)


def _is_plain(text: str) -> bool:
    return text.isascii() and (text.isprintable() or all(c.isprintable() or c in _LAYOUT for c in text))


def _written_out(text: str, found: tuple[Suspect, ...]) -> str:
    shown: list[str] = []
    end = 0
    for suspect in found:
        shown += text[end : suspect.at], str(suspect)
        end = suspect.at + 1
    return "".join([*shown, text[end:]])


def _suspects(text: str, signs: frozenset[str] | None) -> tuple[Suspect, ...]:
    """`signs` are those that count though they are no part of a word; None for all that look like ASCII."""
    unseen = {at: "" for at, c in enumerate(text) if c not in _LAYOUT and is_unseen(c)}
    stray = dict.fromkeys(_stray_marks(text), "")
    alike = {at: like for at, c in enumerate(text) if _is_sign(c, signs) and (like := likeness(c))}
    found = {**dict(_of_words(text)), **alike, **stray, **unseen}
    return tuple(Suspect(at, ord(text[at]), _name(text[at]), found[at]) for at in sorted(found))


def _is_sign(c: str, signs: frozenset[str] | None) -> bool:
    if c.isascii():
        return False
    return c in signs if signs is not None else not _is_of_word(c)


def _is_of_word(c: str) -> bool:
    return _WORD.match(c) is not None


def _of_words(text: str) -> Iterator[tuple[int, str]]:
    is_foreign = not _is_mixed(text) and _is_clear(text)
    for word in _WORD.finditer(text):
        if not word.group().isascii():
            shows_its_script = not _is_mixed(word.group()) and (is_foreign or _is_clear(word.group()))
            for at, c in enumerate(word.group(), word.start()):
                if not c.isascii() and _is_taken_for_ascii(c, is_clear=shows_its_script):
                    yield at, likeness(c)


def _is_taken_for_ascii(c: str, *, is_clear: bool) -> bool:
    like = likeness(c)
    if like and (unicodedata.normalize("NFKC", c) == like or unicodedata.name(c, "").startswith("LATIN")):
        return True  # of no other script
    return not is_clear and (bool(like) or (c.isalpha() and unicodedata.name(c, "").startswith(_SCRIPTS_ALIKE)))


def _is_mixed(word: str) -> bool:
    return any(c.isascii() and c.isalpha() for c in word)


def _is_clear(word: str) -> bool:
    """Does a letter in it show that it is of another script?"""
    return any(c.isalpha() and not c.isascii() and not likeness(c) for c in word)


def _stray_marks(text: str) -> Iterator[int]:
    """Combining marks on what is no letter (a struck-through `=`), and more of them than any letter has."""
    marks = 0
    base = ""
    for at, c in enumerate(text):
        if unicodedata.category(c) not in ("Mn", "Me"):
            base, marks = c, 0
            continue
        marks += 1
        if marks > MAX_STACK or not base or (base.isascii() and not _composes(base, c)):
            yield at


def _composes(base: str, mark: str) -> bool:
    return base.isalpha() and len(unicodedata.normalize("NFC", base + mark)) == 1


def _name(c: str) -> str:
    return unicodedata.name(c, "") or _CONTROLS.get(c, "")

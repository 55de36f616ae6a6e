"""Does the server read a text as we do? Follows the settings that decide where a string ends, and doubts about them."""

from __future__ import annotations

from hoopx_broker.terms.encodings import is_safe_encoding, is_utf8
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.postgres import refusals


class Lexing:
    """The settings of one stream, by what the server tells of them (ParameterStatus)."""

    def __init__(self) -> None:
        self._strings_conform = True
        self._is_utf8 = True
        # What was sent may change one of these two, and the server has not yet said that it did not.
        self._in_doubt = False
        # They were changed once: any end of a transaction may change them back.
        self._was_changed = False

    def on_setting(self, name: bytes, value: bytes) -> None:
        """Raises `BrokenPeer` on an encoding in which nothing can be read for sure."""
        if name == b"standard_conforming_strings":
            self._strings_conform = value == b"on"
        if name == b"client_encoding":
            encoding = value.decode(errors="replace")
            if not is_safe_encoding(encoding):
                raise BrokenPeer("the client encoding was changed to one that can hide ASCII characters")
            self._is_utf8 = is_utf8(encoding)
        self._was_changed |= not (self._strings_conform and self._is_utf8)

    def on_passage(self, *, may_relex: bool, runs: bool) -> None:
        """A statement goes to the server. One that is only prepared ends no transaction."""
        self._in_doubt |= may_relex or (runs and self._was_changed)

    def on_quiet(self) -> None:
        """The server is ready and owes no answer: it has told every setting that has changed before that."""
        self._in_doubt = False

    def is_in_doubt(self, text: bytes) -> bool:
        """Does it depend on a setting in doubt where the strings of this text end?"""
        return self._in_doubt and (b"\\" in text or not text.isascii())

    def refusal(self, text: bytes) -> Deny | None:
        """Why this text cannot be read now, if it cannot."""
        if self.is_in_doubt(text):
            return refusals.LEXING_IN_DOUBT
        if not self._strings_conform and b"\\" in text:
            return refusals.NO_CONFORMING_STRINGS
        if not self._is_utf8 and not text.isascii():
            return refusals.NOT_UTF8
        return None

"""Find personal data and secrets in cells that nobody classified, and hide them where they stand.

The second layer: lineage hides what is classified, whatever it is made into; detectors know only how values look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from msgspec import Struct

from hoopx_broker.masking import array_cells, binary_cells, byte_cells, json_cells
from hoopx_broker.masking.character_numbers import written_plainly
from hoopx_broker.masking.checksums import behind_escape
from hoopx_broker.masking.detectors import NUMERIC, Looks, loose_patterns
from hoopx_broker.masking.expressions import Expression, anywhere, every, over_bytes, over_text, without_assertions
from hoopx_broker.masking.keys import SECRET_KEY
from hoopx_broker.masking.looked_into import ELEMENTS, RECORD, is_encoded, is_foreign, is_looked_into
from hoopx_broker.masking.shapes import TEXT_FORMAT, Mask, mask_for
from hoopx_broker.masking.typed import BYTEA, JSON, JSONB, JSONB_VERSION, STARS, TEXTS, XML
from hoopx_broker.masking.typed import TEXT as TEXT_TYPE
from hoopx_broker.terms.masks import REDACT, Detector, Shape

_STARS = STARS.encode()
_TOKEN = "token"
# A composite value in an array in a composite value: nobody writes more of them by hand than this.
_MAX_DEPTH = 16

# What would end the place where a value stands, in the text of a type whose form nobody knows, and in XML.
_STRUCTURE = frozenset(b"\"'(){}[],\\<>=;")
_MARKUP = frozenset(b"<>&\"'")
_CROSSING = frozenset(b'",')
_NONE: frozenset[int] = frozenset()

# Bytes in hexadecimal, and what tells of those and of characters by their numbers.
_HEXES = over_bytes(r"\\x(?:[0-9A-Fa-f]{2}){6,}")
_OTHER_WAYS = (r"\\u00[2-7Aa]", r"\\x(?:[0-9A-Fa-f]{2}){6}", "&#")
_SECRET_KEYS = over_bytes(SECRET_KEY)
_ARRAYS = (binary_cells.array,)
_ANY = (binary_cells.array, binary_cells.record, binary_cells.hstore)
_FORMS = {RECORD: (binary_cells.record,)}
_JSON_BEGINS = frozenset({b"{", b"[", b'"'})
_MIXED = -1
_BACKSLASH = -1  # beside the places of the sights


class _Entangled(Exception):
    """A hit reaches from one part of a value into the next."""


class _Hit(Struct, frozen=True, order=True):
    """A value to hide: where it begins, its end so that the farthest comes first, and the detector by its place."""

    start: int
    less_end: int
    place: int

    @property
    def end(self) -> int:
        return -self.less_end


class Detection:
    """Detectors in use, and the shape of what each finds. Built once for those that are hidden from a principal."""

    def __init__(self, detectors: Sequence[Detector], shapes: Mapping[str, Shape] = {}, key: bytes = b"") -> None:
        """Raises `BadPattern` where a detector's own pattern cannot be used."""
        self.names = tuple(detector.name for detector in detectors)
        self._looks = Looks(detectors)
        self._masks = [_mask(detector.name, shapes, key) for detector in detectors]
        self._sights = _sights(detectors)
        # A pattern of somebody else may match anything, even from one row into the next.
        self.crosses = any(detector.pattern for detector in detectors)
        self._secret = next((place for place, each in enumerate(detectors) if each == Detector(_TOKEN)), None)

    def sees(self, data: bytes, *, encoded: bool = False) -> bool:
        """May there be anything to hide in these bytes, which may be whole rows? False is certain.

        `encoded` says that there are columns in which something may be written in another way (`is_encoded`).
        """
        if encoded and b"\\" in data:
            return bool(self._sights)
        return any(sight.match(data) is not None for sight in self._sights)

    def next_hint(self, data: bytes, at: int, known: dict[int, int], *, encoded: bool = False) -> int:
        """Where in whole rows the next thing ends that may be hidden, from `at` on; -1 for none.

        `known` is empty at first, and kept from call to call with growing `at`.
        """
        for place, sight in enumerate(self._sights):
            if 0 <= known.get(place, 0) <= at:
                found = sight.match(data, at)
                known[place] = -1 if found is None else found.end()
        if encoded and 0 <= known.get(_BACKSLASH, 0) <= at:
            known[_BACKSLASH] = data.find(b"\\", at) + 1 or -1
        return min((end for end in known.values() if end >= 0), default=-1)

    def covers(self, type_oid: int, wire_format: int) -> bool:
        """Is a column of this type looked into at all?"""
        return bool(self._sights) and is_looked_into(type_oid)

    def hide(self, cell: bytes, type_oid: int, wire_format: int) -> bytes | None:
        """The cell with its hits hidden, the very same object where there are none. None, which is NULL, where a hit
        is in a value whose form nobody knows. Never raises."""
        try:
            return self._hidden(cell, type_oid, wire_format, 0)
        except Exception:
            # Values are whatever people stored. One that cannot be looked into is hidden as a whole.
            return mask_for(type_oid, wire_format).value

    def text(self, text: str) -> str:
        """The same for a plain text, which is the same object where there is nothing to hide."""
        cell = text.encode("utf-8", "surrogatepass")
        shown = self.hide(cell, TEXT_TYPE, TEXT_FORMAT)
        return text if shown is cell else (shown or _STARS).decode("utf-8", "surrogatepass")

    def found_in(self, text: str) -> frozenset[str]:
        """The names of the detectors that find something in this text."""
        cell = text.encode("utf-8", "surrogatepass")
        return frozenset(self.names[hit.place] for hit in self._hits(cell))

    def _hidden(self, cell: bytes, type_oid: int, wire_format: int, depth: int) -> bytes | None:
        if depth > _MAX_DEPTH:
            return mask_for(type_oid, wire_format).value
        if type_oid in TEXTS:
            return self._text(cell)
        if not self.covers(type_oid, wire_format) or not self.sees(cell, encoded=is_encoded(type_oid)):
            return cell
        if type_oid == XML:
            return self._text(cell, _MARKUP)
        if type_oid == JSONB and wire_format != TEXT_FORMAT and cell.startswith(JSONB_VERSION):
            return self._jsonb(cell)
        if type_oid in (JSON, JSONB):
            return self._json(cell)
        if wire_format == TEXT_FORMAT:
            return self._written(cell, type_oid, depth)
        return self._binary(cell, type_oid, depth)

    def _written(self, cell: bytes, type_oid: int, depth: int) -> bytes | None:
        """Of the other types, in the text format."""
        if type_oid == BYTEA:
            return byte_cells.written(cell, self._text)
        if type_oid in ELEMENTS or (is_foreign(type_oid) and array_cells.is_one(cell)):
            element = ELEMENTS.get(type_oid, 0)
            return array_cells.rewritten(cell, partial(self._element, type_oid=element, depth=depth + 1))
        try:
            return self._text(cell, _STRUCTURE, _CROSSING)
        except _Entangled:
            return mask_for(type_oid, TEXT_FORMAT).value

    def _element(self, cell: bytes, type_oid: int, depth: int) -> bytes:
        shown = self._hidden(cell, type_oid, TEXT_FORMAT, depth)
        return _STARS if shown is None else shown

    def _binary(self, cell: bytes, type_oid: int, depth: int) -> bytes | None:
        """Of the other types, in the binary format. What fits no form that is known is shown or hidden as a whole."""
        if type_oid == BYTEA:
            return byte_cells.plain(cell, self._text)
        if type_oid not in ELEMENTS and type_oid != RECORD and b"\0" not in cell and _is_utf8(cell):
            return self._text(cell)  # an enum, or citext
        look = partial(self._part, depth=depth + 1)
        for form in _FORMS.get(type_oid, _ARRAYS if type_oid in ELEMENTS else _ANY):
            shown = form(cell, look)
            if shown is not None:
                return shown
        return cell if byte_cells.plain(cell, self._text) is cell else mask_for(type_oid, 1).value

    def _part(self, cell: bytes, type_oid: int, depth: int) -> bytes | None:
        """A part of bytes whose form was only guessed may be said to be anything: a number with a hit in it is none."""
        if not self.covers(type_oid, 1) and byte_cells.plain(cell, self._text) is not cell:
            return mask_for(type_oid, 1).value
        return self._hidden(cell, type_oid or TEXT_TYPE, 1, depth)

    def _jsonb(self, cell: bytes) -> bytes:
        document = cell[1:]
        shown = self._json(document)
        return cell if shown is document else JSONB_VERSION + shown

    def _json(self, cell: bytes) -> bytes:
        shown = json_cells.rewritten(cell, self._below_key)
        return self._text(cell) if shown is None else shown

    def _below_key(self, text: bytes, key: bytes) -> bytes:
        """A text of JSON, and the key that it stands under, if any."""
        if key and text and self._secret is not None and _SECRET_KEYS.search(key) is not None:
            shown = self._masks[self._secret].instead_of(text) or _STARS
            return text if shown == text else shown
        return self._text(text)

    def _text(self, cell: bytes, avoided: frozenset[int] = _NONE, crossing: frozenset[int] = _NONE) -> bytes:
        """No hit becomes something with `avoided` bytes in it. Raises `_Entangled` where one has `crossing` bytes."""
        if not self.sees(cell):
            return cell
        plain = cell
        if b"\\" in cell or b"&#" in cell:
            if not avoided and cell.lstrip()[:1] in _JSON_BEGINS:
                shown = json_cells.rewritten(cell, self._below_key)
                if shown is not None:
                    return shown
            cell = self._in_hex(cell)
            plain = written_plainly(cell)
        hits = self._hits(plain)
        return self._without(plain, hits, avoided, crossing) if hits else cell

    def _in_hex(self, cell: bytes) -> bytes:
        out: list[bytes] = []
        kept = 0
        for start, end in every(_HEXES, cell):
            content = bytes.fromhex(cell[start + 2 : end].decode())
            shown = byte_cells.plain(content, self._text)
            if shown is not content:
                out += (cell[kept : start + 2], shown.hex().encode())
                kept = end
        return b"".join((*out, cell[kept:])) if out else cell

    def _hits(self, cell: bytes) -> list[_Hit]:
        """In order, and none over another: what lies over each other is hidden as one."""
        found = sorted(
            _Hit(behind_escape(cell, start), -end, place)
            for place, search in self._looks.worth_it(cell)
            for start, end in search.spans(cell)
        )
        apart: list[_Hit] = []
        for hit in found:
            last = apart[-1] if apart else None
            if last is None or hit.start >= last.end:
                apart.append(hit)
            elif hit.end > last.end:
                apart[-1] = _Hit(last.start, hit.less_end, _MIXED)
        return apart

    def _without(self, cell: bytes, hits: list[_Hit], avoided: frozenset[int], crossing: frozenset[int]) -> bytes:
        out: list[bytes] = []
        kept = 0
        for hit in hits:
            value = cell[hit.start : hit.end]
            if crossing and not crossing.isdisjoint(value):
                raise _Entangled
            shown = _STARS if hit.place == _MIXED else self._masks[hit.place].instead_of(value) or _STARS
            out += (cell[kept : hit.start], shown if avoided.isdisjoint(shown) else _STARS)
            kept = hit.end
        return b"".join((*out, cell[kept:]))


@lru_cache(maxsize=64)
def _detection(detectors: tuple[Detector, ...]) -> Detection:
    return Detection(detectors)


def classes_in(text: str, detectors: Sequence[Detector]) -> frozenset[str]:
    """The classes of which there is a value in this text, or of which it is one."""
    return _detection(tuple(detectors)).found_in(text)


def _mask(name: str, shapes: Mapping[str, Shape], key: bytes) -> Mask:
    return mask_for(TEXT_TYPE, TEXT_FORMAT, shapes.get(name, REDACT), key=key, data_class=name)


def _sights(detectors: Sequence[Detector]) -> tuple[Expression, ...]:
    """What finds any of it in whole rows. Numbers apart: in one machine each multiplies the other's states."""
    if not detectors:
        return ()
    numeric = loose_patterns([detector for detector in detectors if detector.name in NUMERIC])
    rest = loose_patterns([detector for detector in detectors if detector.name not in NUMERIC])
    own = [without_assertions(detector.pattern) for detector in detectors if detector.pattern]
    return (
        *(anywhere(patterns, over_bytes) for patterns in (numeric, [*rest, *_OTHER_WAYS]) if patterns),
        *(anywhere([pattern], over_text) for pattern in own),
    )


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True

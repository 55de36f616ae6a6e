"""How a hidden value looks: valid for its type and format, so that no client breaks on it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from functools import partial
from typing import assert_never

from msgspec import Struct

from hoopx_broker.masking import typed
from hoopx_broker.masking.formats import alike
from hoopx_broker.masking.hashes import hasher
from hoopx_broker.masking.typed import STARS, constant
from hoopx_broker.terms.masks import REDACT, Shape

TEXT_FORMAT = typed.TEXT_FORMAT

# No name, number or address is longer, and a cell may have as many bytes as a message.
MAX_SHAPED = 64 * 1024

Of = Callable[[bytes], bytes | None]


class Mask(Struct, frozen=True):
    """What stands in the place of every value of a column that is not NULL; None is NULL itself.

    `value` is the constant. `of` makes it from the cell, in the format that it came in; whatever it raises, the
    constant stands instead. With `nulls` the constant stands for NULL too.
    """

    value: bytes | None
    of: Of | None = None
    nulls: bool = False

    def instead_of(self, cell: bytes) -> bytes | None:
        """What the client sees of a value that is not NULL. Never raises."""
        if self.of is None:
            return self.value
        try:
            return self.of(cell)
        except Exception:
            # Values are whatever people stored. One that no shape fits is hidden like all others, not shown or told of.
            return self.value


NOTHING = Mask(None)


def mask_for(type_oid: int, wire_format: int, shape: Shape = REDACT, *, key: bytes = b"", data_class: str = "") -> Mask:
    """The mask of a column whose values get that shape. A hash without a key is NULL."""
    value = constant(type_oid, wire_format)
    match shape.kind:
        case "redact":
            return Mask(value)
        case "fixed":
            return Mask(_fixed(shape.text, type_oid, wire_format))
        case "keep":
            return Mask(value, partial(_kept, shape.first, shape.last)) if type_oid in typed.TEXTS else Mask(value)
        case "format":
            return Mask(value, partial(_alike, data_class)) if type_oid in typed.TEXTS else Mask(value)
        case "hash":
            # The constant would be one value that joins with all others.
            return Mask(None, hasher(type_oid, wire_format, key))
        case "null":
            return NOTHING
        case _:
            assert_never(shape.kind)


def whole(type_oid: int, wire_format: int) -> Mask:
    """For what is made of hidden values: the constant of the type, in the place of NULL too, which would tell."""
    return Mask(constant(type_oid, wire_format), nulls=True)


def _fixed(text: str, type_oid: int, wire_format: int) -> bytes | None:
    """Types that do not hold any text get their constant."""
    if type_oid in typed.TEXTS:
        return text.encode()
    if type_oid == typed.XML:
        return html.escape(text, quote=False).encode()
    if type_oid == typed.JSON or (type_oid == typed.JSONB and wire_format == TEXT_FORMAT):
        return json.dumps(text).encode()
    if type_oid == typed.JSONB:
        return typed.JSONB_VERSION + json.dumps(text).encode()
    return constant(type_oid, wire_format)


def _kept(first: int, last: int, cell: bytes) -> bytes:
    """Stars between, always as many. Never more than half is shown: of a short value nothing."""
    text = _text(cell)
    if 2 * (first + last) > len(text):
        return STARS.encode()
    return (text[:first] + STARS + text[len(text) - last :]).encode()


def _alike(data_class: str, cell: bytes) -> bytes:
    found = alike(_text(cell), data_class)
    return STARS.encode() if found is None else found.encode()


def _text(cell: bytes) -> str:
    """Raises `ValueError` on what is too long, or is in another encoding."""
    if len(cell) > MAX_SHAPED:
        raise ValueError("too long to have a shape")
    # The blanks that fill up a `char(n)` are no part of the value, or all of a short one would be shown.
    return cell.decode().strip()

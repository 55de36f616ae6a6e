"""Read a target's `masks` and `mask_key`: how the hidden values of each class of data look."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from msgspec import Meta, Struct

from hoopx_broker.daemon import values
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.terms.masks import REDACT, Masks, Shape
from hoopx_broker.terms.secret import Secret

# Half of what HMAC-SHA-256 can use; a shorter key could be found by trying.
MIN_KEY = 16
MAX_FIXED = 256

_NULL = Shape("null")
_WORDS = {"redact": REDACT, "format": Shape("format"), "hash": Shape("hash"), "null": _NULL}
_KNOWN = "write `redact`, `format`, `hash`, `null`, `{keep: last, characters: 4}` or `{fixed: TEXT}`"


class _Keep(Struct, frozen=True):
    """At most as many as anybody needs to tell two values apart."""

    keep: Literal["first", "last"]
    characters: Annotated[int, Meta(ge=1, le=32)]


class _Fixed(Struct, frozen=True):
    fixed: Annotated[str, Meta(max_length=MAX_FIXED)]


def read_masks(target: Section) -> Masks:
    """The shapes by class of data, and the key that hashes need."""
    key = _key(target)
    section = target.section_or_none("masks")
    shapes: dict[str, Shape] = {}
    for written, held, shape in section.choices(values.data_class, _word, _shape, _NULL) if section else ():
        shapes[held] = shape
        if section and shape is not HOLE and shape.kind == "hash" and not target.has("mask_key"):
            section.note(written, "is `hash`, which needs a key", "add `mask_key: env:NAME` to the target")
    return Masks(shapes=shapes, key=key)


def _key(target: Section) -> Secret | None:
    if not target.has("mask_key"):
        return None
    key = target.secret("mask_key")
    if key is not HOLE:
        try:
            _check_key(key.reveal())
        except Wrong as wrong:
            target.note("mask_key", wrong.what, wrong.remedy)
    return key


def _check_key(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # an environment may hold any bytes
        raise Wrong("is not UTF-8 text", "take for example `openssl rand -hex 32`") from None
    if size < MIN_KEY:
        raise Wrong(f"is shorter than {MIN_KEY} bytes", "take for example `openssl rand -hex 32`")


def _word(text: str) -> Shape:
    if text in ("keep", "fixed"):
        raise Wrong("does not say what is left", _KNOWN)
    if text not in _WORDS:
        raise Wrong("is not a shape", _KNOWN)
    return _WORDS[text]


def _shape(section: Section) -> Shape:
    shape = _fixed(section) if section.has("fixed") else _kept(section)
    section.close()
    return shape


def _kept(section: Section) -> Shape:
    kept = section.options(_Keep, taken=())
    if kept is HOLE:
        return cast(Shape, HOLE)
    if kept.keep == "first":
        return Shape("keep", first=kept.characters)
    return Shape("keep", last=kept.characters)


def _fixed(section: Section) -> Shape:
    given = section.options(_Fixed, taken=())
    if given is HOLE:
        return cast(Shape, HOLE)
    if not (given.fixed.isascii() and given.fixed.isprintable()):
        # The only characters that are the same bytes in every client encoding, and valid in every text.
        section.note("fixed", "holds other than printable ASCII characters", "write a plain word")
    return Shape("fixed", text=given.fixed)

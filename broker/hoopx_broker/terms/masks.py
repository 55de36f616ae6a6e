"""How hidden values look, and what is looked for in cells that nobody classified: a target's `masks` and `detect`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.terms.secret import Secret

ShapeKind = Literal["redact", "fixed", "keep", "format", "hash", "null"]


class Shape(Struct, frozen=True):
    """What a hidden value becomes.

    `redact` is a constant of the column's type, `fixed` the constant `text`, `keep` leaves the `first` and `last`
    characters, `format` keeps what kind of value it is (an e-mail stays an e-mail), `hash` is the same for the same
    value and key, `null` is NULL.
    """

    kind: ShapeKind
    text: str = ""
    first: int = 0
    last: int = 0


REDACT = Shape("redact")


class Detector(Struct, frozen=True):
    """Looks for values of one class of data. Without a `pattern` (RE2) it is the built-in one of that name."""

    name: str
    pattern: str = ""


class Masks(Struct, frozen=True):
    """The shape of each class of data (`redact` where none is given), the key of hashes, and the detectors in use."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    key: Secret | None = None
    detectors: tuple[Detector, ...] = ()

    @property
    def key_bytes(self) -> bytes:
        """The key of hashes; empty where there is none."""
        return self.key.reveal().encode() if self.key is not None else b""

    def shape_of(self, data_class: str) -> Shape:
        return self.shapes.get(data_class, REDACT)

"""A secret that cannot be printed by accident."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """Wraps a secret text. `repr` and `str` show `<secret>`; `.reveal()` is the one way out."""

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

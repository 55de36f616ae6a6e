"""An identity provider that says no."""

from __future__ import annotations


class Declined(Exception):
    """The provider itself says no. `code` is its word for it: letters and dashes only."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

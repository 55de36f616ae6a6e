"""`--key`: an empty one is a variable that was not set, and would ask anew at each retry."""

from __future__ import annotations

from hoopx_broker.terms.errors import BadInput


def refuse_empty(key: str) -> str:
    """The key as it was given. Raises `BadInput` where it is empty."""
    if not key:
        raise BadInput("--key is empty", "is the variable set? A key names one ask, such as the number of a run")
    return key

"""Did you mean? The name that somebody may have wanted to type, out of those that are known here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# How the broker says that it does not know a name; behind that, the names file that has its like.
_UNKNOWN = re.compile(r"there is no (target|session|request|lease) `([^`]+)`")
# More of a beginning than the letter of its kind and a hyphen: `s_4k`.
_ENOUGH = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like it, or that it alone begins; empty where none is."""
    from difflib import get_close_matches

    names = [one for one in known if one != name]
    begun = [one for one in names if len(name) >= _ENOUGH and one.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    return next(iter(get_close_matches(name, names, n=1)), "")


def meant(message: str, home: Path) -> str:
    """For a refusal of the broker: which name of those that earlier commands saw was meant. Empty where none is."""
    found = _UNKNOWN.search(message)
    if found is None:
        return ""
    kind, name = found.groups()
    from hoopx_cli import names

    return nearest(name, names.everywhere(home, f"{kind}s"))

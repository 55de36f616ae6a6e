"""Find issuer plugins by the names under which their packages announce them."""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from typing import cast

from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.seams.issuer import Issuer

GROUP = "hoopx.issuers"


def issuer_class(name: str) -> type[Issuer]:
    """The issuer that `credentials.from` names. Raises `Wrong` where there is none, or it cannot be loaded."""
    announced = entry_points(group=GROUP)
    if name not in announced.names:
        known = sorted(announced.names)
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean `{near[0]}`?" if near else f"installed are {', '.join(f'`{each}`' for each in known)}"
        raise Wrong("names no installed credential plugin", remedy)
    try:
        return cast(type[Issuer], announced[name].load())
    except ImportError as error:
        raise Wrong(f"names a plugin that cannot be loaded ({error})", "install what it needs") from None

"""Names that TAB completes: written in passing by commands that saw them, read by the shell without starting Python."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hoopx_broker.terms.errors import HoopxError
from hoopx_cli.settings import write_private

# A shell reads these files: only names that mean nothing to it are kept, whatever a broker sends. Accounts are often
# addresses, so `@` and `+` are taken: neither acts where no bracket follows.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
# More than anyone chooses from by TAB; keeps the reading of the file in the shell fast.
MAX_NAMES = 500


def keep(home: Path, kind: str, names: Iterable[str]) -> None:
    """Replace the names of `kind`: targets, sessions, leases, requests or accounts.

    A cache that cannot be written is done without.
    """
    harmless = [name for name in names if _HARMLESS.fullmatch(name)][:MAX_NAMES]
    with suppress(HoopxError):
        write_private(home / "names" / kind, "".join(f"{name}\n" for name in harmless).encode())

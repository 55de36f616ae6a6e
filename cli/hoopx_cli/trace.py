"""Keep the trace of an unexpected error where its owner alone can read it, without the secrets that were about."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from hoopx_broker.terms.errors import HoopxError
from hoopx_cli.settings import home, write_private

# Old traces help nobody; ten are enough to see whether one comes back.
KEPT = 10

# JSON Web Tokens, bearer tokens and passwords in connection strings, wherever an exception's text may quote them.
_SECRETS = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?i:bearer)\s+\S+|(?<=://)[^\s/@]+:[^\s/@]+(?=@)|(?i:password|token|secret)=\S+"
)


def keep(environ: Mapping[str, str]) -> str:
    """Write the trace of the exception being handled; returns where, or why not. Never raises."""
    text = _SECRETS.sub("<secret>", traceback.format_exc())
    for given in filter(None, map(environ.get, ("HOOPX_TOKEN", "HOOPX_CLIENT_SECRET"))):
        text = text.replace(given, "<secret>")
    try:
        folder = home(environ) / "traces"
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns()}.log"
        write_private(path, text.encode(errors="backslashreplace"))
        _forget_old(folder)
    except (HoopxError, OSError) as error:
        return f"no file ({error})"
    return str(path)


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)

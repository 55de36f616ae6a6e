"""Keep the trace of an unexpected error where its owner alone can read it, without the secrets that were about."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from hoopx_broker.terms.errors import HoopxError
from hoopx_cli.scrub import scrub
from hoopx_cli.settings import home, write_private

# Old traces help nobody; ten are enough to see whether one comes back.
KEPT = 10
# An error that came of so many others is told well enough.
DEEPEST = 10


def keep(environ: Mapping[str, str]) -> str:
    """Write the trace of the exception being handled; returns where, or why not. Never raises."""
    text = scrub(traceback.format_exc(), environ)
    try:
        folder = home(environ) / "traces"
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns()}.log"
        write_private(path, text.encode(errors="backslashreplace"))
        _forget_old(folder)
    except (HoopxError, OSError) as error:
        return f"no file ({error})"
    return str(path)


def shown(error: BaseException, environ: Mapping[str, str]) -> str:
    """The trace for `--debug`: what the error came of too, where a command would not say so."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) < DEEPEST:
        parts.append("".join(traceback.format_exception(cause, chain=False)))
        cause = cause.__cause__ or cause.__context__
    return scrub("which came of:\n".join(parts).rstrip(), environ)


def _forget_old(folder: Path) -> None:
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)

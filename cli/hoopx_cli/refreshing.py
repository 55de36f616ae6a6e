"""`hoopx refresh-names`: what a stale TAB starts and does not wait for. It asks the broker, and leaves names behind."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import locks, names
from hoopx_cli.api import Api
from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.places import Argument
from hoopx_cli.settings import private_folder

app = group("Example: hoopx refresh-names targets")

LIMIT = "200"  # more than anyone chooses from by TAB
LIFE_SECONDS = 90  # nobody watches this process: it never stays


@app.command(name="refresh-names")
def refresh(kit: Kit, kind: Annotated[str, Argument(metavar="KIND")]) -> None:
    """Example: hoopx refresh-names targets

    Ask the broker for the names that TAB completes, in the background. The completion scripts run it.
    """
    if kind not in names.KINDS:
        raise BadInput(f"there are no names of `{kind}`", f"there are: {', '.join(names.KINDS)}")
    from hoopx_cli import pg_service

    path = names.place(kit.settings) / kind
    if not path.parent.parent.is_dir():
        return  # TAB behind a mistyped address, or a stranger's, sends no token there: Enter was not pressed
    _leave_the_terminal()
    with locks.alone(private_folder(path.parent) / f".{path.name}.lock") as is_first:
        if not is_first or time.time() < names.read(path).fresh:
            return
        names.postpone(kit.settings, kind)
        names.keep(kit.settings, kind, _asked(kit.api, kind))
        names.sweep(kit.settings.home)
        pg_service.sweep(kit.settings.home)


def _asked(api: Api, kind: str) -> list[str]:
    match kind:
        case "targets":
            return sorted(one.name for one in api.targets())
        case "sessions":
            return [one.id for one in api.sessions(int(LIMIT)).sessions]
        case "requests":
            return [one.id for one in api.requests(limit=LIMIT)]
        case "leases":
            return [one.id for one in api.leases(limit=LIMIT)]
        case _:
            known = [one.user for one in api.sessions(int(LIMIT)).sessions]
            return [*known, *(one.requester for one in api.requests(limit=LIMIT))]


def _leave_the_terminal() -> None:
    """Whoever started it is free at once; what is left belongs to no terminal, and ends by itself."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.alarm(LIFE_SECONDS)

"""What a broker holds towards one PostgreSQL as one administrator: kept connections, the barrier, whose turn it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial

import psycopg

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.postgres_admin import Connection, Pause, administrator, log_in, refused, telling
from hoopx_plugins.postgres_barrier import Barrier
from hoopx_plugins.postgres_kept import Kept
from hoopx_plugins.postgres_sweep import Sweep
from hoopx_plugins.postgres_turns import Turn

# Each works side by side with the others, so that none waits for one of another kind; more would take connections from
# those who have work to do.
MINTING, TIDYING, BARRING, SWEEPING = 4, 2, 1, 1


class Server:
    """`target` is one of those on it, by which its errors are told."""

    def __init__(
        self, target: Target, user: str, password: Secret, turn: Turn, pause: Pause, patience: Callable[[], float]
    ) -> None:
        self.target = target
        self.turn = turn
        self._login = user, password
        log_in_here = partial(log_in, target, target.database, user, password)
        self.minting, self.tidying = Kept(log_in_here, MINTING), Kept(log_in_here, TIDYING)
        self.barrier = Barrier(Kept(log_in_here, BARRING), self._told, pause, patience)
        self.sweep = Sweep(Kept(log_in_here, SWEEPING), turn, patience)

    def telling(self) -> AbstractContextManager[None]:
        return telling(self.target, self._login[0])

    def log_in_to(self, database: str) -> AbstractAsyncContextManager[Connection]:
        """Another database of that server. Not kept: few sessions go there."""
        return administrator(self.target, database, *self._login)

    def _told(self, error: Exception) -> Exception:
        match error:
            case psycopg.Error():
                return refused(error, self.target, self._login[0])
            case TimeoutError():
                return silent(self.target)
            case _:
                return error


def silent(target: Target) -> BackendFailed:
    return BackendFailed(
        f"the source `postgres-role` of target `{target.name}` has stopped answering",
        f"look whether {target.host}:{target.port} still runs and can be reached",
    )

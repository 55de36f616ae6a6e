"""Keys by which a requester asks again: the same key is the same request, whatever became of it."""

from __future__ import annotations

from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal

KEPT_SECONDS = 7 * 24 * 3600.0  # a pipeline is not tried again after a week
MAX_KEY = 200  # names of a run, a job and a step, and room


def refuse_bad(key: str) -> None:
    """An empty one is none."""
    if len(key) > MAX_KEY or not key.isprintable():
        raise BadInput(
            f"a key has at most {MAX_KEY} characters, all of them printable",
            "use for example the number of the pipeline's run",
        )


def forget_old(connection: Connection, now: float) -> None:
    connection.execute("DELETE FROM request_keys WHERE made_at <= ?", (now - KEPT_SECONDS,))


def find(connection: Connection, requester: Principal, key: str, ask: str) -> RequestId | None:
    """The request that was asked for by this key. Raises `BadInput` where that was for something else than `ask`."""
    row = connection.execute(
        "SELECT request, ask FROM request_keys WHERE requester = ? AND on_behalf_of = ? AND key = ?",
        (requester.user, requester.on_behalf_of or "", key),
    ).fetchone()
    if row is None:
        return None
    if row[1] != ask:
        raise BadInput(
            f"the key `{key}` belongs to request `{row[0]}`, which asks for something else",
            "give every ask a key of its own, or ask again exactly as before",
        )
    return RequestId(row[0])


def keep(connection: Connection, requester: Principal, key: str, ask: str, request: str, now: float) -> None:
    connection.execute(
        "INSERT INTO request_keys (requester, on_behalf_of, key, request, ask, made_at) VALUES (?, ?, ?, ?, ?, ?)",
        (requester.user, requester.on_behalf_of or "", key, request, ask, now),
    )

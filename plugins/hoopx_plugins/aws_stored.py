"""Logins that lie at AWS: what Secrets Manager and the Parameter Store hold, read into a user and a password."""

from __future__ import annotations

import json

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import DatabaseLogin
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target

MAX_PASSWORD = 4096  # a whole document in its place is a mistake


def login_in(text: str, keys: tuple[str, str], user: str | None, source: str, target: Target) -> DatabaseLogin:
    """`text` is the password where the `user` is known, else an object with both under `keys`. Raises `BackendFailed`.

    No error holds a piece of `text`.
    """
    if user is not None and not text.lstrip().startswith("{"):
        return DatabaseLogin(user, Secret(_whole(text, "its value", source, target)))
    try:
        stored = json.loads(text)
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise _unusable(
            "it is not a JSON object", "store one, or set `user` where it is the password alone", source, target
        )
    name = user if user is not None else stored.get(keys[0])
    return DatabaseLogin(
        _whole(name, f"`{keys[0]}`", source, target),
        Secret(_whole(stored.get(keys[1]), f"`{keys[1]}`", source, target)),
    )


def _whole(value: object, what: str, source: str, target: Target) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_PASSWORD or "\0" in value:
        raise _unusable(
            f"{what} in it is no text that a login can have",
            "correct the value, or the names of its keys",
            source,
            target,
        )
    return value


def _unusable(why: str, remedy: str, source: str, target: Target) -> BackendFailed:
    return BackendFailed(f"what the source `{source}` found for target `{target.name}` is no login: {why}", remedy)

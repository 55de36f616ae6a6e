"""Log in to Vault: as the broker, as the person who opens a session, or as a child of a token kept by an agent."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, assert_never

from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.vault_connection import Json, Vault
from hoopx_plugins.vault_failures import VaultRefused, VaultUnreachable
from hoopx_plugins.vault_server import AppRole, Jwt, Kubernetes, VaultServer

MAX_TOKEN = 64 * 1024  # no token file is larger
# The broker's own token is given up this long before it ends, for what was begun with it must come to its end.
MARGIN = 30.0

T = TypeVar("T")


class VaultToken(Struct, frozen=True):
    """A token and the name by which others may revoke it. `seconds` is its life from now, 0 for without end."""

    secret: Secret
    accessor: str
    seconds: int
    renewable: bool


class OwnLogin:
    """The broker's own tokens, one for each Vault, kept while they last. May be asked from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._locks: defaultdict[VaultServer, threading.Lock] = defaultdict(threading.Lock)
        self._kept: dict[VaultServer, tuple[Secret, float]] = {}

    def asking(self, vault: Vault, work: Callable[[Secret], T]) -> T:
        """Do `work` with the broker's token; once more with a new one where Vault does not take the kept one."""
        if vault.server.token_file is not None:
            with token_in_file(vault, vault.server.token_file) as token:
                return work(token)
        token, is_kept = self._token(vault)
        try:
            return work(token)
        except VaultRefused as refused:
            if refused.status != 403 or not is_kept:
                raise
        self._forget(vault, token)
        return work(self._token(vault)[0])

    def _token(self, vault: Vault) -> tuple[Secret, bool]:
        with self._turn(vault):
            kept, ends = self._kept.get(vault.server, (None, 0.0))
            if kept is not None and self._clock() < ends:
                return kept, True
            began = self._clock()
            made = log_in_as_broker(vault)
            life = made.seconds - MARGIN if made.seconds else float("inf")
            self._kept[vault.server] = (made.secret, began + life)
            return made.secret, False

    @contextmanager
    def _turn(self, vault: Vault) -> Iterator[None]:
        """Nobody waits for the logins of others at a Vault that is silent: their threads are those of all Vaults."""
        lock = self._locks[vault.server]
        if not lock.acquire(timeout=vault.server.seconds):
            raise VaultUnreachable(
                f"{vault.who} cannot log in to Vault: {vault.server.address} answers no login of the broker's",
                "look whether it is up, or raise `vault.timeout`",
            )
        try:
            yield
        finally:
            lock.release()

    def _forget(self, vault: Vault, token: Secret) -> None:
        with self._locks[vault.server]:
            if self._kept.get(vault.server, (None, 0.0))[0] is token:
                del self._kept[vault.server]
        with suppress(BackendFailed):  # it may have ended by itself; if it has not, nobody uses it any more
            vault.ask("post", "auth/token/revoke-self", doing="end its own token", token=token)


def log_in_for(vault: Vault, order: Order, seconds: int) -> VaultToken:
    """A new token for one lease: the person's where the section says `person`, else the broker's.

    Of `token_file` a child for so many seconds, which says in Vault's audit what it is for.
    """
    if vault.server.person is None:
        if vault.server.token_file is not None:
            with token_in_file(vault, vault.server.token_file) as parent:
                return _child(vault, parent, order, seconds)
        return log_in_as_broker(vault)
    if order.token is None:
        raise BackendFailed(
            f"{vault.who} logs in to Vault as the person, and this session came without a token of"
            f" `{order.principal.user}` that it could use",
            "log in with `hoopx login`, or bring a job's token; a native client's pass is none",
        )
    person = vault.server.person
    return _with_jwt(vault, person.mount, person.role, order.token, f"log in to Vault as `{order.principal.user}`")


def log_in_as_broker(vault: Vault) -> VaultToken:
    """A new token of the broker's, by the login that is no `token_file`."""
    server = vault.server
    match server.approle or server.kubernetes or server.jwt:
        case AppRole(role_id, secret_id, mount):
            body = {"role_id": role_id.reveal(), "secret_id": secret_id.reveal()}
            return _log_in(vault, f"auth/{mount}/login", body, (role_id, secret_id), "log in to Vault")
        case Kubernetes() | Jwt() as by:
            return _with_jwt(vault, by.mount, by.role, read_token(vault, by.token_file), "log in to Vault")
        case None:
            raise BackendFailed(f"{vault.who} knows no login to Vault", "add one to the section `vault`")
        case other:
            assert_never(other)


def _with_jwt(vault: Vault, mount: str, role: str, jwt: Secret, doing: str) -> VaultToken:
    return _log_in(vault, f"auth/{mount}/login", {"role": role, "jwt": jwt.reveal()}, (jwt,), doing)


def _log_in(vault: Vault, path: str, body: Json, secrets: tuple[Secret, ...], doing: str) -> VaultToken:
    return _token_in(vault, vault.ask("post", path, body, doing=doing, secrets=secrets))


def _child(vault: Vault, parent: Secret, order: Order, seconds: int) -> VaultToken:
    meta = {"session": order.session, "target": order.target.name, "user": order.principal.user}
    body: Json = {"display_name": "hoopx", "renewable": True, "ttl": f"{seconds}s", "meta": meta}
    made = vault.ask("post", "auth/token/create", body, doing="make a child of `vault.token_file`", token=parent)
    return _token_in(vault, made)


def _token_in(vault: Vault, answer: Json) -> VaultToken:
    auth = answer.get("auth")
    if not isinstance(auth, dict) or not auth.get("client_token"):
        raise BackendFailed(f"{vault.who} got no token from Vault", "look at that login there: does it ask for MFA?")
    token = Secret(str(auth["client_token"]))
    if not auth.get("accessor"):
        # A batch token cannot be called back, nor what it makes.
        raise BackendFailed(f"{vault.who} got a batch token, which nobody can revoke", "set `token_type=service` there")
    return VaultToken(token, str(auth["accessor"]), int(auth.get("lease_duration") or 0), bool(auth.get("renewable")))


def read_token(vault: Vault, file: Path) -> Secret:
    """A token from a file that somebody else renews."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        raise BackendFailed(f"{vault.who} finds no token in {file}", "look at whoever writes it, and at its rights")
    return Secret(text)


@contextmanager
def token_in_file(vault: Vault, file: Path) -> Iterator[Secret]:
    """To ask Vault with. It says the same of a token that has ended as of one that may not: told apart here."""
    token = read_token(vault, file)
    try:
        yield token
    except VaultRefused as refused:
        if refused.status != 403 or _is_known(vault, token):
            raise
        raise BackendFailed(
            f"{vault.who} has a token in {file} that has ended, or that Vault never knew",
            "look whether whoever keeps that file fresh (Vault Agent) still does, and at `vault.address`",
        ) from None


def _is_known(vault: Vault, token: Secret) -> bool:
    try:
        vault.ask("get", "auth/token/lookup-self", doing="look its token up", token=token)
    except VaultRefused as refused:
        return refused.status != 403
    return True

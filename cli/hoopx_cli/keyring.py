"""Keep logins between commands: in the keyring of the operating system, else in a file that only you can read."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from hoopx_broker.terms.errors import BadInput, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.settings import private_folder, write_private

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "hoopx"
# A login is two tokens of a few kilobytes; a file of a hundred brokers still fits.
MAX_FILE = 4_194_304


class Login(Struct, frozen=True):
    """A person signed in at one broker. `expires_at` (seconds since the Unix epoch) is the end of `bearer`."""

    issuer: str
    client_id: str
    audience: str
    bearer: Secret
    expires_at: float
    refresh: Secret | None = None


class Logins:
    """The logins kept on this machine, by the URL of their broker (`settings.origin` gives its one spelling).

    `warn` hears, once for each broker, that there is no keyring and where the login lies instead.
    """

    def __init__(self, home: Path, warn: Callable[[str], None]) -> None:
        self._home = home
        self._path = home / "logins.json"
        self._warn = warn

    def get(self, broker: str) -> Login | None:
        """Raises `Unauthenticated` where the keyring stays shut, `BadInput` where others can read the file."""
        kept = self._read().get(broker)
        if kept is not None:  # asked first: it spares every command on a machine without a keyring the looking for one
            return kept
        backend = _backend()
        entry = _ask(backend, self._entry(broker)) if backend is not None else None
        return _login(entry) if entry is not None else None

    def put(self, broker: str, login: Login) -> None:
        backend = _backend()
        if backend is not None and _tell(backend, self._entry(broker), _encode(login).decode()):
            self._drop(broker)
            return
        kept = self._read()
        if broker not in kept:
            self._warn(f"no keyring of the operating system is usable here: the login is kept in `{self._path}`")
        write_private(self._path, _encode(kept | {broker: login}))

    def forget(self, broker: str) -> None:
        """Safe to repeat."""
        backend = _backend()
        if backend is not None:
            _erase(backend, self._entry(broker))
        self._drop(broker)

    @contextmanager
    def held(self) -> Iterator[None]:
        """One command at a time: a refresh token spent by two commands at once would end the login."""
        lock = os.open(private_folder(self._home) / "logins.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _entry(self, broker: str) -> str:
        """A keyring belongs to the user of the machine, a login to a HOOPX_HOME: one user can be two people."""
        return f"{broker} {self._home}"

    def _drop(self, broker: str) -> None:
        kept = self._read()
        if kept.pop(broker, None) is not None:
            write_private(self._path, _encode(kept))

    def _read(self) -> dict[str, Login]:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise BadInput(f"`{self._path}` cannot be read: {error.strerror}", "remove it and log in again") from None
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISREG(found.st_mode):
                raise BadInput(f"others can read or own `{self._path}`", "remove it and log in again")
            return self._logins(file.read(MAX_FILE))

    def _logins(self, data: bytes) -> dict[str, Login]:
        try:
            kept: dict[str, Login] = _decode(data, dict[str, Login])
        except (ValueError, RecursionError):
            raise BadInput(f"`{self._path}` does not hold logins", "remove it and log in again") from None
        return kept


def _login(entry: str) -> Login | None:
    """An entry that is none of ours, or of another version, is as good as none: logging in replaces it."""
    try:
        login: Login = _decode(entry.encode(), Login)
    except (ValueError, RecursionError):
        return None
    return login


def _backend() -> KeyringBackend | None:
    """The keyring that guards what it is given, if this machine has one."""
    import keyring  # 130 ms: only for commands that need a login
    import keyring.backends.chainer
    import keyring.errors

    try:
        chosen = keyring.get_keyring()
        chain = list(chosen.backends) if isinstance(chosen, keyring.backends.chainer.ChainerBackend) else [chosen]
    except (keyring.errors.KeyringError, RuntimeError, ImportError):
        return None
    return next((backend for backend in chain if _guards(backend)), None)


def _guards(backend: KeyringBackend) -> bool:
    """`fail` refuses, `null` forgets, and those of keyrings.alt write files that look like keyrings."""
    module = type(backend).__module__
    return not module.startswith(("keyring.backends.fail", "keyring.backends.null", "keyrings.alt"))


def _ask(backend: KeyringBackend, name: str) -> str | None:
    try:
        return backend.get_password(SERVICE, name)
    except Exception as error:  # each backend raises errors of its own library
        raise _shut(error) from None


def _tell(backend: KeyringBackend, name: str, entry: str) -> bool:
    """Whether the keyring took it: some are shut, some take only short entries."""
    try:
        backend.set_password(SERVICE, name, entry)
        return bool(backend.get_password(SERVICE, name) == entry)
    except Exception:  # each backend raises errors of its own library; the file is there for all of them
        return False


def _erase(backend: KeyringBackend, name: str) -> None:
    import keyring.errors

    try:
        backend.delete_password(SERVICE, name)
    except keyring.errors.PasswordDeleteError:
        return  # there was none
    except Exception as error:
        raise _shut(error) from None


def _shut(error: Exception) -> Unauthenticated:
    return Unauthenticated(
        f"the keyring of the operating system does not answer: {type(error).__name__}",
        "unlock it, or give a token in HOOPX_TOKEN",
    )


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=_reveal)


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def _decode(data: bytes, kind: Any) -> Any:
    """Raises `ValueError` or `RecursionError` for what is not a login, or logins, as `_encode` writes them."""
    return msgspec.json.decode(data, type=kind, dec_hook=lambda _, value: Secret(value))

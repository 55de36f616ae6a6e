"""The keyring of the operating system: whether there is one that guards, and entries put in, read and taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hoopx_broker.terms.errors import Unauthenticated

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "hoopx"


def chosen() -> KeyringBackend | None:
    """The keyring that guards what it is given, if this machine has one."""
    import keyring  # 130 ms: only for commands that need a login
    import keyring.backends.chainer
    import keyring.errors

    try:
        found = keyring.get_keyring()
        chain = list(found.backends) if isinstance(found, keyring.backends.chainer.ChainerBackend) else [found]
    except (keyring.errors.KeyringError, RuntimeError, ImportError):
        return None
    return next((backend for backend in chain if _guards(backend)), None)


def ask(backend: KeyringBackend, name: str) -> str | None:
    """The entry of that name. Raises `Unauthenticated` where the keyring stays shut."""
    try:
        return backend.get_password(SERVICE, name)
    except Exception as error:  # each backend raises errors of its own library
        raise _shut(error) from None


def tell(backend: KeyringBackend, name: str, entry: str) -> bool:
    """Whether the keyring took it: some are shut, some take only short entries."""
    try:
        backend.set_password(SERVICE, name, entry)
        return bool(backend.get_password(SERVICE, name) == entry)
    except Exception:  # each backend raises errors of its own library; the file is there for all of them
        return False


def erase(backend: KeyringBackend, name: str) -> None:
    """Safe to repeat. Raises `Unauthenticated` where the keyring stays shut."""
    import keyring.errors

    try:
        backend.delete_password(SERVICE, name)
    except keyring.errors.PasswordDeleteError:
        return  # there was none
    except Exception as error:
        raise _shut(error) from None


def _guards(backend: KeyringBackend) -> bool:
    """`fail` refuses, `null` forgets, and those of keyrings.alt write files that look like keyrings."""
    module = type(backend).__module__
    return not module.startswith(("keyring.backends.fail", "keyring.backends.null", "keyrings.alt"))


def _shut(error: Exception) -> Unauthenticated:
    return Unauthenticated(
        f"the keyring of the operating system does not answer: {type(error).__name__}",
        "unlock it, or give a token in HOOPX_TOKEN",
    )

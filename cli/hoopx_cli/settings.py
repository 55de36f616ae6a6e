"""What a command works with: flag, then environment, then what the last login remembered."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret

DEFAULT_BROKER = "https://127.0.0.1:8443"
# A login is two tokens of a few kilobytes; a file of a hundred brokers still fits.
MAX_FILE = 4_194_304
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class Flags(Struct):
    """What the command line says; None where it says nothing."""

    broker: str | None = None
    ca: str | None = None
    account: str | None = None


class Settings(Struct, frozen=True):
    """`broker` is an https origin without a path; `ca` a file or a `sha256:` fingerprint; `token` from HOOPX_TOKEN.

    `account` is the user whose login is meant, None for the current one; `insists` where the command line says so,
    which wins over every token of the environment.
    """

    broker: str
    ca: str | None
    home: Path
    token: Secret | None = None
    account: str | None = None
    insists: bool = False


class Remembered(Struct, frozen=True):
    """HOOPX_HOME/settings.json: where the last login went, and how that broker and `others` before were trusted."""

    broker: str
    ca: str | None = None
    others: dict[str, str] = field(default_factory=dict)


def home(environ: Mapping[str, str]) -> Path:
    """HOOPX_HOME, else `~/.hoopx`."""
    named = environ.get("HOOPX_HOME")
    return Path(named).absolute() if named else Path.home() / ".hoopx"


def read(flags: Flags, environ: Mapping[str, str]) -> Settings:
    """Raises `BadInput` for what cannot be a broker's address."""
    place = home(environ)
    remembered = recall(place)
    named = flags.broker or environ.get("HOOPX_BROKER") or (remembered.broker if remembered else DEFAULT_BROKER)
    broker = origin(named)
    token = environ.get("HOOPX_TOKEN") if not flags.account else None
    return Settings(
        broker=broker,
        ca=flags.ca or environ.get("HOOPX_CA") or _remembered_ca(remembered, broker),
        home=place,
        token=Secret(token) if token else None,
        account=flags.account or environ.get("HOOPX_ACCOUNT") or None,
        insists=bool(flags.account),
    )


def origin(url: str) -> str:
    """`https://host:port` of an address; the scheme may be left out."""
    if "@" in url:  # a password may stand before it, so the address is not repeated
        raise BadInput("a broker's address holds no user and no password", "write it as https://HOST:PORT")
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port or 443
    except ValueError:
        raise BadInput(f"`{url}` is not a broker's address", "write it as https://HOST:PORT") from None
    if parts.scheme != "https":
        raise BadInput(f"`{url}` is not https: a token never travels in the clear", "write it as https://HOST:PORT")
    if not _is_host(parts.hostname) or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise BadInput(f"`{url}` is not a broker's address", "write it as https://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"https://{host}:{port}"


def _is_host(name: str | None) -> bool:
    """Whether a connection can be tried: what a name's encoding refuses would come as an error of that."""
    try:
        plain = (name or "") if (name or "").isascii() else (name or "").encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return plain.isprintable() and all(0 < len(label) < 64 for label in plain.removesuffix(".").split("."))


def recall(place: Path) -> Remembered | None:
    path = place / "settings.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise BadInput(f"`{path}` cannot be read: {error}", "remove it and log in again") from None


def remember(place: Path, remembered: Remembered) -> None:
    """Make a broker the one that commands mean; how those before it were trusted stays known."""
    earlier = recall(place)
    others = dict(earlier.others) if earlier is not None else {}
    if earlier is not None and earlier.ca is not None:
        others[earlier.broker] = earlier.ca
    others.pop(remembered.broker, None)
    kept = Remembered(remembered.broker, remembered.ca, others | remembered.others)
    write_private(place / "settings.json", msgspec.json.encode(kept))


def private_folder(path: Path) -> Path:
    """The folder, made for its owner alone where it is not there yet."""
    try:
        _make(path)
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise BadInput(f"`{path}` is another user's", "set HOOPX_HOME to a folder of yours")
        if found.st_mode & 0o022:  # others could put files of theirs in the place of ours
            path.chmod(stat.S_IMODE(found.st_mode) & ~0o022)
    except OSError as error:
        raise BadInput(f"`{path}` cannot be made: {error.strerror}", "set HOOPX_HOME to a folder of yours") from None
    return path


def open_file(path: Path, flags: int = 0) -> BinaryIO:
    """A file and nothing else: a pipe or a device in its place would hold us up. Raises `OSError`."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file")
    return os.fdopen(handle, "rb")


def _make(path: Path) -> None:
    """With all above it that is not there, each for its owner alone: `mkdir` gives its mode to the last one only."""
    if not path.is_dir():
        _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def read_private(path: Path) -> bytes | None:
    """What a file of ours holds, None where there is none. Raises `BadInput` where others can read or own it."""
    try:
        with open_file(path, os.O_NOFOLLOW) as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise BadInput(f"others can read or own `{path}`", "remove it and log in again")
            return file.read(MAX_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"`{path}` cannot be read: {error.strerror}", "remove it and log in again") from None


def write_private(path: Path, content: bytes) -> None:
    """Replace a file whole or not at all; mode 0600 from its first byte on."""
    private_folder(path.parent)
    try:
        fresh = path.with_name(f".{path.name}-{os.urandom(8).hex()}")
        with os.fdopen(os.open(fresh, _NEW, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise BadInput(f"`{path}` cannot be written: {error.strerror}", "set HOOPX_HOME to a folder of yours") from None


def _remembered_ca(remembered: Remembered | None, broker: str) -> str | None:
    """Trust belongs to the broker it was given for: another broker starts from the system's roots."""
    if remembered is None:
        return None
    return remembered.ca if remembered.broker == broker else remembered.others.get(broker)

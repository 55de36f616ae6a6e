"""What the configuration said at this broker's last start, so that it can tell which keys were changed since.

Beside the broker's own keys, on its own disk, lies a keyed hash of each value: values may be secrets, and many can be
guessed from a plain hash. Nothing of it goes anywhere else but the names of keys.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct, field

from hoopx_broker.recording.whole import ensure_private_directory
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.secret import Secret

FILE = "configuration.seen"
# Names that stand in an event. Where more were changed, as when the file is rearranged, they are told by their parents.
MAX_NAMED = 500


class Seen(Struct, frozen=True):
    """`keys` by their dotted names. `salt` is of this file alone."""

    sha256: str = ""
    salt: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def last_seen(keys: Path) -> Seen:
    """Empty at the first start. Raises `BadInput` for a file that is not ours."""
    place = keys / FILE
    try:
        return msgspec.json.decode(place.read_bytes(), type=Seen)
    except FileNotFoundError:
        return Seen()
    except OSError as error:
        raise BadInput(f"`{place}` cannot be read: {error.strerror}", "check its owner") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(f"`{place}` is not what a broker wrote: {error}", "move it away") from error


def seen_now(sha256: str, written: Mapping[str, Secret], before: Seen) -> Seen:
    salt = before.salt or secrets.token_hex(32)
    return Seen(sha256, salt, {name: _hash(salt, value) for name, value in written.items()})


def changed(before: Seen, now: Seen) -> tuple[str, ...]:
    """The names of keys that were added, taken out, or say something else; none at the first start."""
    if not before.sha256:
        return ()
    names = {name for name in {*before.keys, *now.keys} if before.keys.get(name) != now.keys.get(name)}
    while len(names) > MAX_NAMED and any("." in name or "[" in name for name in names):
        deepest = max(map(_depth, names))
        names = {_parent(name) if _depth(name) == deepest else name for name in names}
    return tuple(sorted(names))


def remember(keys: Path, now: Seen) -> None:
    """Whole or not at all. Raises `BadInput`."""
    place, fresh = keys / FILE, keys / f"{FILE}.{os.getpid()}"
    try:
        ensure_private_directory(keys)
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(now))
        fresh.replace(place)
    except OSError as error:
        raise BadInput(f"`{place}` cannot be written: {error.strerror}", "check the owner of its directory") from error


def _hash(salt: str, value: Secret) -> str:
    return hmac.digest(bytes.fromhex(salt), value.reveal().encode(), "sha256").hex()


def _depth(name: str) -> int:
    return name.count(".") + name.count("[")


def _parent(name: str) -> str:
    return name[: max(name.rfind("."), name.rfind("["), 0)] or name

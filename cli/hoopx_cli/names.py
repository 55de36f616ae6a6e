"""Names that TAB completes: kept in passing by commands that saw them, read by the shell without starting Python.

`HOOPX_HOME/names/BROKER/ACCOUNT/KIND`: a line `# FRESH ENDS` (seconds since the Unix epoch) and a name on each line
after it. Before FRESH nobody asks the broker again, after ENDS the names are not offered. The folders are named as the
scripts of `completion_bash` and its siblings work them out from the command line, the environment and our files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from hoopx_broker.terms.errors import HoopxError
from hoopx_cli.settings import Settings, read_private, write_private

# A shell reads these files: only names that mean nothing to it are kept, whatever a broker sends. Accounts are often
# addresses, so `@` and `+` are taken: neither acts where no bracket follows.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
# More than anyone chooses from by TAB; keeps the reading of the file in the shell fast.
MAX_NAMES = 500
FRESH_SECONDS = 120
RETRY_SECONDS = 60  # a broker that did not answer is not asked at each TAB
KEPT_SECONDS = 86_400
# What the broker is asked for; `accounts` are known here.
KINDS = ("targets", "sessions", "requests", "leases", "users")
NOBODY, BY_TOKEN = "_", "_token"


class _Current(Struct, frozen=True):
    """What this room reads of an entry of accounts.json."""

    current: str | None = None


class Kept(Struct, frozen=True):
    """A file of names. One that is not there, or is none of ours, is empty and over."""

    fresh: int = 0
    ends: int = 0
    names: tuple[str, ...] = ()


def keep(settings: Settings, kind: str, names: Iterable[str], *, adding: bool = False) -> None:
    """Replace the names of a kind, as the broker has just told them; with `adding`, put them before those that hold.

    A cache that cannot be written is done without.
    """
    now, path = int(time.time()), place(settings) / kind
    before = read(path) if adding else Kept()
    _write(path, [*names, *(before.names if now < before.ends else ())], now + FRESH_SECONDS, now + KEPT_SECONDS)


def postpone(settings: Settings, kind: str) -> None:
    """Let nobody ask again soon; what is there stays as it is."""
    path = place(settings) / kind
    before = read(path)
    _write(path, before.names, int(time.time()) + RETRY_SECONDS, before.ends)


def keep_accounts(home: Path, broker: str, users: Iterable[str]) -> None:
    """Who is logged in at a broker; what others saw there who are not any more is removed."""
    known = list(users)
    there = home / "names" / _folder(broker.removeprefix("https://"))
    _write(there / "accounts", known, 0, 2**31)
    stay = {*(_named(user) for user in known), NOBODY, BY_TOKEN}
    with suppress(OSError):
        for each in list(there.iterdir()):
            if each.is_dir() and not each.is_symlink() and each.name not in stay:
                from shutil import rmtree

                rmtree(each, ignore_errors=True)


def place(settings: Settings) -> Path:
    """The folder of names for this broker and whoever asks it."""
    if settings.account is not None and (settings.insists or settings.token is None):
        who = _named(settings.account)
    elif settings.token is not None:
        who = BY_TOKEN
    else:
        current = _current(settings)
        who = _named(current) if current else NOBODY
    return settings.home / "names" / _folder(settings.broker.removeprefix("https://")) / who


def read(path: Path) -> Kept:
    with suppress(HoopxError, ValueError):
        head, *names = (read_private(path) or b"").decode("ascii").splitlines()
        mark, fresh, ends = head.split(" ")
        if mark == "#":
            return Kept(int(fresh), int(ends), tuple(names))
    return Kept()


def everywhere(home: Path, kind: str) -> list[str]:
    """The names of a kind that hold, of whichever broker and account here."""
    kept = [read(path) for path in sorted((home / "names").glob(f"*/*/{kind}"))]
    return list(dict.fromkeys(name for each in kept if time.time() < each.ends for name in each.names))


def sweep(home: Path) -> None:
    """Remove names that are over."""
    with suppress(OSError):
        for path in list((home / "names").rglob("*")):
            if path.is_file() and not path.is_symlink() and path.name in KINDS and read(path).ends < time.time():
                path.unlink(missing_ok=True)


def _write(path: Path, names: Iterable[str], fresh: int, ends: int) -> None:
    harmless = dict.fromkeys(name for name in names if _HARMLESS.fullmatch(name))
    lines = [f"# {fresh} {ends}", *list(harmless)[:MAX_NAMES]]
    with suppress(HoopxError):
        write_private(path, "".join(f"{line}\n" for line in lines).encode())


def _current(settings: Settings) -> str | None:
    with suppress(HoopxError, ValueError):
        found = msgspec.json.decode(read_private(settings.home / "accounts.json") or b"{}", type=dict[str, _Current])
        return found.get(settings.broker, _Current()).current
    return None


def _folder(broker: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", broker)


def _named(account: str) -> str:
    return "by-" + re.sub(r"[^A-Za-z0-9.@+_-]", "_", account)

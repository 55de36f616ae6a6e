"""Audit the evidence of a configured broker from beside it, running or not, or a copy of its store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from hoopx_broker.daemon import config
from hoopx_broker.daemon.evidence import store_of
from hoopx_broker.daemon.keyring import keyring_of
from hoopx_broker.evidence.audit_witnesses import Witnesses
from hoopx_broker.evidence.auditing import Audited, Wanted, audit
from hoopx_broker.evidence.cosigned import best_note, newest_note
from hoopx_broker.evidence.findings import Tell
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import seen_by
from hoopx_broker.storage import log
from hoopx_broker.storage.cosigned import listed
from hoopx_broker.storage.looking import look
from hoopx_broker.terms.errors import BadInput, Unknown
from hoopx_broker.tlog.cosignatures import parse_witness
from hoopx_broker.tlog.notes import Verifier


class Wish(Struct, frozen=True):
    """`keys` to go by, `witnesses` that must have cosigned, a checkpoint that was kept, and whether to be `quick`."""

    keys: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    since: str | None = None
    quick: bool = False

    def wanted(self, *known: str) -> Wanted:
        """What `known` witnesses have cosigned must hold, too."""
        witnesses = Witnesses(tuple(map(parse_witness, self.witnesses)), tuple(map(parse_witness, known)))
        return Wanted(witnesses=witnesses, since=self.since, quick=self.quick)


def examine_copy(directory: Path, wish: Wish, tell: Tell) -> Audited:
    """Nothing but the directory and the keys is needed."""
    if not directory.is_dir():
        raise BadInput(f"`{directory}` is no directory", "name a copy of what `recordings` of the broker names")
    return asyncio.run(audit(LocalStore(directory), _parsed(wish.keys), tell, wish.wanted()))


async def examine(path: Path, environ: Mapping[str, str], wish: Wish, tell: Tell) -> Audited:
    """With the state at hand. Without keys, by this broker's own key, and for recordings those of its neighbours.

    Between a rotation and the next start, the log is still signed by the key before.
    """
    settings = await asyncio.to_thread(config.load, path, environ)
    home = settings.keys / "home"
    work = seen_by(home.read_text().strip() if home.exists() else "")
    row = await asyncio.to_thread(look, settings.state, log.read)
    ring = await asyncio.to_thread(keyring_of, settings)
    signs = next((str(key) for key in ring.older if row and str(key) == row.key), ring.key.verifier)
    store = store_of(settings)
    spool = LocalStore(settings.recordings) if store.is_remote else None
    known = [each.key for each in settings.evidence.witnesses]
    wanted = replace(wish.wanted(*known), look=partial(look, settings.state, work), spool=spool)
    try:
        return await audit(store, _parsed(wish.keys or [signs]), tell, wanted)
    finally:
        await store.close()


def newest(path: Path, environ: Mapping[str, str], *, cosigned_by_most: bool = False) -> str:
    """The newest checkpoint with its cosignatures, as the state has it, or the one with the most of them.

    Raises `Unknown` where there is none.
    """
    row, notes = look(config.load(path, environ).state, lambda connection: (log.read(connection), listed(connection)))
    if row is None or not row.checkpoint:
        raise Unknown("there is no checkpoint of the log yet", "start the broker: it signs one at once")
    return best_note(row, notes) if cosigned_by_most else newest_note(row, notes)


def _parsed(keys: Sequence[str]) -> tuple[Verifier, ...]:
    return tuple(Verifier.parse(key) for key in keys)

"""Audit the evidence of a configured broker from beside it, running or not, or a copy of its store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from hoopx_broker.daemon import config
from hoopx_broker.daemon.evidence import store_of
from hoopx_broker.daemon.keyring import keyring_of
from hoopx_broker.evidence.audit import Tell
from hoopx_broker.evidence.auditing import Audited, audit
from hoopx_broker.evidence.cosigned import best_note, newest_note
from hoopx_broker.evidence.local import LocalStore
from hoopx_broker.evidence.seen import Seen, seen_by
from hoopx_broker.seams.store import EvidenceStore
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


def examine_copy(directory: Path, wish: Wish, tell: Tell) -> Audited:
    """Nothing but the directory and the keys is needed."""
    if not directory.is_dir():
        raise BadInput(f"`{directory}` is no directory", "name a copy of what `recordings` of the broker names")
    return asyncio.run(_audit(LocalStore(directory), _parsed(wish.keys), wish, tell))


async def examine(path: Path, environ: Mapping[str, str], wish: Wish, tell: Tell) -> Audited:
    """With the state at hand. Without keys, by this broker's own key, and for recordings those of its neighbours.

    Between a rotation and the next start, the log is still signed by the key before.
    """
    settings = await asyncio.to_thread(config.load, path, environ)
    home = settings.keys / "home"
    seen = await asyncio.to_thread(look, settings.state, seen_by(home.read_text().strip() if home.exists() else ""))
    ring = await asyncio.to_thread(keyring_of, settings)
    signs = next((str(key) for key in ring.older if seen.row and str(key) == seen.row.key), ring.key.verifier)
    known = _parsed(wish.keys or [signs])
    store = store_of(settings)
    try:
        return await _audit(store, known, wish, tell, seen)
    finally:
        await store.close()


async def _audit(
    store: EvidenceStore, keys: Sequence[Verifier], wish: Wish, tell: Tell, seen: Seen | None = None
) -> Audited:
    witnesses = tuple(map(parse_witness, wish.witnesses))
    return await audit(store, keys, tell, witnesses=witnesses, seen=seen, since=wish.since, quick=wish.quick)


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

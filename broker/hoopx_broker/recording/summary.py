"""Sum up a recording: what was judged how, what it touched, who agreed, what became of its lease, and its seal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, TypeVar

from msgspec import Struct, field

from hoopx_broker.recording import blocks
from hoopx_broker.recording.failures import Locked, TornEnd
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.seals import Chain, sealed
from hoopx_broker.recording.sweep import Sweep
from hoopx_broker.terms.entries import (
    Approval,
    Ended,
    Entry,
    Executed,
    Failed,
    Finished,
    LeaseNote,
    Notice,
    Opened,
    Seal,
    Statement,
    StreamOpened,
)

T = TypeVar("T")

# So many names or notes of a kind are told one by one; what comes beyond is counted.
MAX_NAMES = 1_000


class Sealing(Struct, frozen=True):
    """What the seal says, without proof that it is the broker's: that is what `hoopx sessions verify` is for."""

    key: str
    root: str
    entries: int
    blocks: int
    unfinished: bool = False


class Summary(Struct):
    """`tables`, `effects`, `rules` and `masked` count statements, `rulings` too. `runs` are those of prepared ones.

    `left_out` counts, by the name of a field, what there was no room for. `opened` is None, and all about entries is
    empty, where the recording is encrypted `to` somebody else. `seal` is None while the session is open.
    """

    format: int = 0
    opened: Opened | None = None
    streams: int = 0
    statements: int = 0
    runs: int = 0
    rulings: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    affected: int = 0
    errors: int = 0
    seconds: float = 0
    tables: dict[str, int] = field(default_factory=dict)
    effects: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)
    leases: list[LeaseNote] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    end: str = ""
    seal: Sealing | None = None
    to: tuple[str, ...] = ()


def summary(file: BinaryIO, identity: AgeIdentity | None = None, *, grows: bool = False) -> Summary:
    """Of a file that can be sought, from where it stands, an entry or block in memory at a time.

    One that `grows` may end inside an entry. Raises `BrokenEvidence`, or `Locked` for an identity that does not open
    it. What is encrypted is summed up from outside where there is no identity.
    """
    start = file.tell()
    try:
        return _from_inside(file, identity, grows)
    except Locked:
        if identity is not None:
            raise
    file.seek(start)
    return _from_outside(file, grows)


def _from_inside(file: BinaryIO, identity: AgeIdentity | None, grows: bool) -> Summary:
    found, reader = Summary(), Reader(file, identity)
    try:
        for recorded in reader:
            found.seconds = recorded.t_us / 1e6
            _hear(found, recorded.entry)
            if isinstance(recorded.entry, Seal):
                found.seal = _sealing(recorded.entry, reader.before_seal)
    except TornEnd:
        if not grows:
            raise
    found.format = reader.version
    return found


def _from_outside(file: BinaryIO, grows: bool) -> Summary:
    file.read(len(blocks.HEADER))
    sweep = Sweep(file)
    try:
        sweep.run()
    except TornEnd:
        if not grows:
            raise
    found = Summary(format=2, to=sweep.head.recipients if sweep.head else ())
    if sweep.ended is not None:
        _hear(found, sweep.ended.entry)
        found.seconds = sweep.ended.t_us / 1e6
    if sweep.seal is not None:
        found.seal = _sealing(sweep.seal, sweep.before_seal)
    return found


def _hear(found: Summary, entry: Entry) -> None:
    match entry:
        case Opened():
            found.opened = entry
        case StreamOpened():
            found.streams += 1
        case Statement():
            found.statements += 1
            _hear_statement(found, entry)
        case Executed():
            found.runs += 1
        case Finished():
            found.rows += entry.rows
            found.affected += entry.affected
        case Failed():
            found.errors += 1
        case Notice(lease=lease, approval=approval):
            if lease is not None:
                _keep(found, "leases", found.leases, lease)
            if approval is not None:
                _keep(found, "approvals", found.approvals, approval)
        case Ended():
            found.end = entry.reason
        case _:
            pass


def _hear_statement(found: Summary, entry: Statement) -> None:
    _count(found, "rulings", found.rulings, (entry.ruling,))
    _count(found, "tables", found.tables, entry.tables)
    _count(found, "effects", found.effects, entry.effects)
    _count(found, "rules", found.rules, entry.rules)
    _count(found, "masked", found.masked, entry.masked)


def _count(found: Summary, name: str, known: dict[str, int], used: Iterable[str]) -> None:
    for each in used:
        if each in known or len(known) < MAX_NAMES:
            known[each] = known.get(each, 0) + 1
        else:
            found.left_out[name] = found.left_out.get(name, 0) + 1


def _keep(found: Summary, name: str, kept: list[T], note: T) -> None:
    if len(kept) < MAX_NAMES:
        kept.append(note)
    else:
        found.left_out[name] = found.left_out.get(name, 0) + 1


def _sealing(seal: Seal, chain: Chain | None) -> Sealing:
    """Of one whose form a reader has checked."""
    sealed_by = seal.note.rstrip("\n").rpartition("\n")[2].removeprefix("— ").partition(" ")[0]
    if chain is None:
        return Sealing(sealed_by, "", 0, 0, seal.unfinished)
    facts = sealed(chain, 0)
    return Sealing(sealed_by, facts.root, facts.entries, facts.blocks, seal.unfinished)

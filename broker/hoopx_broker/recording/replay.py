"""Tell a recording again: as lines for people, as JSON lines for programs. Pure, and harmless to any terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, assert_never

import msgspec
from msgspec import UNSET

from hoopx_broker.recording.cells import BINARY, UnreadableRow, form_of, messages
from hoopx_broker.recording.format import Reader
from hoopx_broker.recording.inert import inert, inert_bytes, inert_lines
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.sequences import Sieve
from hoopx_broker.recording.tables import MAX_CELL, Table, decoded
from hoopx_broker.terms.entries import (
    Approval,
    Columns,
    CopyData,
    Ended,
    Entry,
    Executed,
    Failed,
    Finished,
    LeaseNote,
    Notice,
    Opened,
    Rows,
    Seal,
    Statement,
    StreamClosed,
    StreamOpened,
    Terminal,
    Unmask,
)
from hoopx_broker.terms.people import Principal

Moment = tuple[float, Entry]

_INDENT = " " * 12
# What follows this bar was said by a client or a server; a recorded text cannot pass itself off as another entry.
SAID = _INDENT + "│ "


def moments(stream: BinaryIO, identity: AgeIdentity | None = None) -> Iterator[Moment]:
    """Seconds since the opening, and the entry; raises `BrokenEvidence` where the chain does not hold.

    Raises `Locked` where it is encrypted and `identity` does not open it.
    """
    for recorded in Reader(stream, identity):
        yield recorded.t_us / 1e6, recorded.entry


def lines(told: Iterable[Moment]) -> Iterator[str]:
    """The whole story."""
    narrator = Narrator()
    for seconds, entry in told:
        yield from narrator.tell(seconds, entry)


def jsonl(told: Iterable[Moment], first: int = 1, results: Iterable[Columns] = ()) -> Iterator[str]:
    """One JSON object an entry, pure ASCII: `seq`, `seconds`, `type` and the fields of the entry.

    Result rows are lists of texts (null for NULL); other bytes are base64. `first` is the number of the first entry,
    and `results` are under way there.
    """
    columns = {each.stream: each for each in results}
    for seq, (seconds, entry) in enumerate(told, first):
        fields: dict[str, Any] = msgspec.to_builtins(entry)
        match entry:
            case Columns():
                columns[entry.stream] = entry
            case StreamClosed():
                columns.pop(entry.stream, None)
            case Rows(length=length) | CopyData(length=length) if length:
                del fields["data"]
                if entry.sha256:
                    fields["sha256"] = entry.sha256.hex()
            case Rows():
                known = columns.get(entry.stream)
                cells = decoded(known if known and known.n == entry.n else None, entry)
                if cells is not None:
                    del fields["data"]
                    fields["rows"] = cells
            case _:
                pass
        yield json.dumps({"seq": seq, "seconds": seconds, **fields}, ensure_ascii=True)


class Narrator:
    """Tells one recording, entry by entry; remembers the current result of each stream, to line up its rows."""

    def __init__(self, results: Iterable[Columns] = ()) -> None:
        """`results` are those that are under way where the telling begins."""
        self._tables = {each.stream: Table(each.n, each) for each in results}
        self._terminals: dict[str, Sieve] = {}

    def tell(self, seconds: float, entry: Entry) -> Iterator[str]:
        """The lines of one entry. No line holds anything that a terminal would obey."""
        match entry:
            case Opened():
                yield from _opening(entry)
            case Ended():
                yield f"{_at(seconds)} session ended: {inert(entry.reason) or 'no reason given'}"
            case Seal():
                yield f"{_at(seconds)} sealed by the broker" + (
                    ", unfinished after a crash" if entry.unfinished else ""
                )
            case Notice(unmask=unmask) if unmask is not None:
                yield from _unmasking(_at(seconds), unmask)
            case Notice(lease=lease) if lease is not None:
                yield from _lease(_at(seconds), entry.message, lease)
            case Notice(approval=approval) if approval is not None:
                where = f" {inert(entry.stream)}" if entry.stream else ""
                yield from _approval(f"{_at(seconds)}{where}", entry.message, approval)
            case _:
                yield from self._of_stream(f"{_at(seconds)} {inert(entry.stream)}", entry)

    def _of_stream(self, where: str, entry: _OfStream) -> Iterator[str]:
        match entry:
            case StreamOpened():
                parameters = " ".join(f"{inert(k)}={inert(v)}" for k, v in entry.parameters.items())
                yield f"{where} connected {parameters}".rstrip()
            case Statement():
                yield from _statement(where, entry)
            case Executed():
                by = f", request {inert(entry.request)}" if entry.request else ""
                yield f"{where} #{entry.n} runs #{entry.statement}{_parameters(entry.parameters, entry.formats)}{by}"
                yield from _shadow(entry.shadow)
            case Columns():
                self._tables[entry.stream] = Table(entry.n, entry)
            case Rows(length=length) if length:
                yield f"{where} #{entry.n} {entry.count} rows, {_less(entry)}"
            case CopyData(length=length) if length:
                yield f"{where} #{entry.n} copy {inert(entry.direction)}, {_less(entry)}"
            case Rows():
                yield from (SAID + line for line in self._table(entry).lines(entry.data))
            case CopyData():
                yield f"{where} #{entry.n} copy {inert(entry.direction)}, {len(entry.data)} bytes"
                yield from (SAID + line for line in _copied(entry.data))
            case Terminal():
                yield from self._terminal(where, entry)
            case Finished():
                yield from self._finished(where, entry)
            case Failed():
                yield f"{where} #{entry.n} {_complaint(entry)}"
            case Notice():
                yield f"{where} {_complaint(entry)}"
            case StreamClosed():
                self._tables.pop(entry.stream, None)
                self._terminals.pop(entry.stream, None)
                yield f"{where} disconnected" + (f": {inert(entry.reason)}" if entry.reason else "")
            case _:
                assert_never(entry)

    def _table(self, entry: Rows) -> Table:
        """The result that these rows belong to; rows may come without a description of their own."""
        table = self._tables.get(entry.stream)
        if table is None or table.n != entry.n:
            table = self._tables[entry.stream] = Table(entry.n, None)
        return table

    def _terminal(self, where: str, entry: Terminal) -> Iterator[str]:
        """The text alone: what moves a cursor or paints makes no sense in lines that stay."""
        match entry.event:
            case "o":
                sieve = self._terminals.setdefault(entry.stream, Sieve())
                shown = sieve.text(entry.data).replace("\r\n", "\n")
                yield from (SAID + line for line in inert_lines(shown.strip("\n")) if line)
            case "i":
                yield f"{where} #{entry.n} typed {inert_bytes(entry.data)}"
            case "r":
                yield f"{where} #{entry.n} window of {inert_bytes(entry.data)}"
            case _:
                yield f"{where} #{entry.n} {inert(entry.event)}, {len(entry.data)} bytes"

    def _finished(self, where: str, entry: Finished) -> Iterator[str]:
        table = self._tables.get(entry.stream)
        if table is not None and table.n == entry.n and not table.headed:
            yield from (SAID + line for line in table.heading())
        count = f" ({entry.rows} row{'' if entry.rows == 1 else 's'})" if entry.rows else ""
        yield f"{where} #{entry.n} done: {inert(entry.tag) or 'no tag'}{count}"


_OfStream = (
    StreamOpened
    | Statement
    | Executed
    | Columns
    | Rows
    | CopyData
    | Terminal
    | Finished
    | Failed
    | Notice
    | StreamClosed
)


def _less(entry: Rows | CopyData) -> str:
    """What a recording tells that keeps less than the client saw."""
    digest = f", SHA-256 {entry.sha256.hex()}" if entry.sha256 else ""
    return f"{entry.length} bytes that policy keeps out of recordings{digest}"


def _place(entry: Opened) -> str:
    if entry.database:
        return f"database {inert(entry.database)}"
    account = f", account {inert(entry.account)}" if entry.account else ""
    return f"region {inert(entry.region)}{account}"


def _bound(entry: Opened) -> str:
    """What the rules bound the session's credential to."""
    return "; ".join(f"{inert(name)} {_listed(values)}" for name, values in sorted(entry.obligations.items()))


def _opening(entry: Opened) -> Iterator[str]:
    who = entry.principal
    yield f"session {inert(entry.session)}"
    yield from _facts(
        ("who", f"{_named(who)}, groups: {_listed(who.groups) or 'none'}"),
        ("human", _human(who)),
        ("where", f"{inert(entry.target)} ({inert(entry.kind)}, {_place(entry)})"),
        ("from", inert(entry.peer)),
        ("when", f"{_date(entry.opened_at)}, at most until {_date(entry.expires_at)}"),
        ("why", inert(entry.reason)),
        ("ticket", inert(entry.ticket)),
        ("rules", f"{_listed(entry.rules)} of policy {inert(entry.policy)}"),
        ("bound to", _bound(entry)),
        ("shadow", inert(entry.shadow)),
        ("request", inert(entry.request or "")),
        ("GLASS BROKEN", "nobody was asked; it is reviewed afterwards" if entry.glass else ""),
        ("approved by", _listed(entry.approved_by)),
        ("lease", f"{inert(entry.lease)} from {inert(entry.lease_source)}" if entry.lease else ""),
        ("as", inert(entry.backend_user)),
        ("broker", inert(entry.broker)),
    )


def _named(who: Principal) -> str:
    on_behalf = f" on behalf of {inert(who.on_behalf_of)}" if who.on_behalf_of else ""
    return f"{inert(who.user)} ({inert(who.kind)}){on_behalf}"


def _human(who: Principal) -> str:
    """The human for whom an agent acts, as far as older recordings tell."""
    if who.on_behalf_of is None or who.their_groups is UNSET:
        return ""
    return f"{inert(who.on_behalf_of)}, groups: {_listed(who.their_groups) or 'none'}"


def _unmasking(at: str, unmask: Unmask) -> Iterator[str]:
    shown = f"{_listed(unmask.classes)} by request {inert(unmask.request)}"
    if unmask.ended:
        yield f"{at} no longer UNMASKED: {shown}: {inert(unmask.ended)}"
        return
    yield f"{at} UNMASKED until {_date(unmask.until)}: {shown}"
    yield f"{_INDENT}approved by: {_listed(unmask.approved_by)}"


def _lease(at: str, message: str, lease: LeaseNote) -> Iterator[str]:
    yield f"{at} lease {inert(lease.lease)} {inert(lease.event)}: {inert(message)}"
    if lease.handle:
        known = ", ".join(f"{inert(name)}={inert(value)}" for name, value in lease.handle.items())
        yield f"{_INDENT}known to {inert(lease.source)} as: {known}"


def _approval(where: str, message: str, approval: Approval) -> Iterator[str]:
    yield f"{where} request {inert(approval.request) or 'none'} {inert(approval.event).upper()}: {inert(message)}"
    people = ", ".join(f"{number} of {inert(group)}" for group, number in sorted(approval.approvers.items()))
    told = {
        "by": inert(approval.by),
        "of": people,
        "said": inert(approval.comment),
        "at": _date(approval.at) if approval.at else "",
        "until": _date(approval.until) if approval.until else "",
    }
    yield from (f"{_INDENT}{name}: {value}" for name, value in told.items() if value)
    yield from (SAID + line for line in inert_lines(approval.statement) if approval.statement)


def _facts(*facts: tuple[str, str]) -> Iterator[str]:
    return (f"    {name:<12} {value}" for name, value in facts if value)


def _statement(where: str, entry: Statement) -> Iterator[str]:
    ruling = {"allow": "ALLOWED", "deny": "DENIED", "ask": "HELD"}.get(entry.ruling, inert(entry.ruling))
    rules = f" by {_listed(entry.rules)}" if entry.rules else ""
    request = f", request {inert(entry.request)}" if entry.request else ""
    yield f"{where} #{entry.n} {ruling}{rules}{request}"
    if entry.reason:
        yield f"{_INDENT}reason: {inert(entry.reason)}"
    yield from _shadow(entry.shadow)
    if entry.masked:
        yield f"{_INDENT}masked: {_listed(entry.masked)}"
    yield from (SAID + line for line in inert_lines(entry.text))


def _shadow(told: str) -> Iterator[str]:
    """What rules in shadow would have done."""
    if told:
        yield f"{_INDENT}shadow: {inert(told)}"


def _parameters(values: Sequence[bytes | None], formats: Sequence[int]) -> str:
    shown = (f"${i + 1}={_parameter(value, form_of(formats, i))}" for i, value in enumerate(values))
    return " with " + " ".join(shown) if values else ""


def _parameter(value: bytes | None, form: int) -> str:
    if value is None:
        return "null"
    text = "\\x" + value[:MAX_CELL].hex() if form == BINARY else "'" + inert_bytes(value[: 4 * MAX_CELL]) + "'"
    return text if len(value) <= MAX_CELL else f"{text}… ({len(value)} bytes)"


def _copied(data: bytes) -> Iterator[str]:
    try:
        for message in messages(data, b"d"):
            yield from (inert_bytes(line) for line in bytes(message).removesuffix(b"\n").split(b"\n"))
    except UnreadableRow as error:
        yield f"(the rest is not readable: {error})"


def _complaint(entry: Failed | Notice) -> str:
    return f"{inert(entry.severity)} {inert(entry.code)}: {inert(entry.message)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(inert(name) for name in names)


def _at(seconds: float) -> str:
    return f"{seconds:+10.3f}s"


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"

"""What `hoopx sessions show` tells: a session in a few lines out of its row and its recording, and its statements."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import RecordingView, SessionView, Unmasked
from hoopx_broker.recording.bundle import read_part
from hoopx_broker.recording.failures import TornEnd
from hoopx_broker.recording.format import Reader, Recorded
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.statements import Ran, statements
from hoopx_broker.recording.summary import Summary, summary
from hoopx_broker.terms.entries import Approval, LeaseNote, Opened
from hoopx_broker.terms.errors import BackendFailed, Unknown
from hoopx_broker.terms.people import spoken
from hoopx_cli.durations import spoken as spoken_time
from hoopx_cli.inert import inert, inert_lines
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment

# So many names are told to people, those of most statements first; `-o json` has more.
NAMES = 20
# So much of a parameter.
_MAX_PARAMETER = 200
_LABEL = 14
_NARROW = 20
_BELOW = "    "
_SAID = "    │ "  # a recorded text cannot pass itself off as another line
_RULINGS = {"allow": "ALLOWED", "deny": "DENIED", "ask": "HELD"}


class Asked(Struct, frozen=True):
    """What is to be shown. `view` is None for a file."""

    view: SessionView | None
    opened: AbstractContextManager[BinaryIO]
    identity: AgeIdentity | None


def show(kit: Kit, asked: Asked) -> None:
    """The summary. What the broker knows is told even where the recording is not to be had."""
    summed, why = _summed(asked)
    if kit.out.form is Form.JSON:
        row = msgspec.to_builtins(asked.view) if asked.view is not None else {}
        kit.out.json(row | {"summary": summed} | ({"unread": why} if why else {}))
        return
    kit.out.fields([*_of_row(asked.view), *(_of_recording(kit, summed) if summed is not None else ())])
    if why:
        kit.out.insist(f"more stands in its recording, but {why}")
    elif summed is not None and summed.to:
        kit.out.insist("its entries are encrypted: `--identity FILE` tells what was done, by whose key that is")


def show_statements(kit: Kit, asked: Asked) -> None:
    """Each with what became of it; with `-o json` one object a line."""
    with asked.opened as file:
        read_part(file)
        for ran in statements(*_begun(file, asked.identity)):
            if kit.out.form is Form.JSON:
                kit.out.json(ran)
                continue
            for line in _lines(ran):
                kit.out.data(line)


def _begun(file: BinaryIO, identity: AgeIdentity | None) -> tuple[Iterator[Recorded], float]:
    """The entries behind the opening, and when that was."""
    entries = _entries(file, identity)
    for recorded in entries:
        if isinstance(recorded.entry, Opened):
            return entries, recorded.entry.opened_at
    return entries, 0.0


def _entries(file: BinaryIO, identity: AgeIdentity | None) -> Iterator[Recorded]:
    try:
        yield from Reader(file, identity)
    except TornEnd:  # it is being written
        return


def _summed(asked: Asked) -> tuple[Summary | None, str]:
    """Or why not: where the recording is, or what became of it."""
    try:
        with asked.opened as file:
            read_part(file)
            return summary(file, asked.identity), ""
    except (Unknown, BackendFailed) as error:
        if asked.view is None:
            raise
        return None, f"{error.message}; {error.hint}" if error.hint else error.message


# The summary.


def _of_row(view: SessionView | None) -> Iterator[tuple[str, str]]:
    if view is None:
        return
    yield "session", view.id
    yield "user", spoken(view.user, view.on_behalf_of)
    yield "target", view.target
    yield "state", view.state
    yield "opened", moment(view.opened_at)
    yield "ended", moment(view.ended_at)
    yield "end", view.end
    yield "reason", view.reason
    yield "ticket", view.ticket
    yield "statements", str(view.statements)
    yield "denied", str(view.denied)
    yield "unmasked", "\n".join(map(_seen_raw, view.unmasked))
    yield "recording", _whereabouts(view.recording)


def _of_recording(kit: Kit, summed: Summary) -> Iterator[tuple[str, str]]:
    if (opened := summed.opened) is not None:
        yield from _of_opening(opened)
        yield "approvals", "\n".join(map(_approval, summed.approvals))
        yield "lease", "\n".join([_lease(opened), *map(_of_lease, summed.leases)]) if opened.lease else ""
        yield "done", _counts(summed)
        for name in ("tables", "effects", "rules", "masked"):
            yield name, _names(kit, getattr(summed, name), summed.left_out.get(name, 0))
    yield "encrypted", f"to {', '.join(summed.to)}" if summed.to else ""
    yield "sealed", _seal(summed)


def _of_opening(opened: Opened) -> Iterator[tuple[str, str]]:
    kind = f"{opened.kind}, {opened.database or opened.region}"
    yield "kind", f"{kind}, rows kept as {opened.record}" if opened.record != "full" else kind
    yield "from", opened.peer
    yield "until", f"{moment(opened.expires_at)} at most"
    yield "opened by", f"{', '.join(opened.rules)} of policy {opened.policy}"
    yield "request", opened.request or ""
    yield "approved by", ", ".join(opened.approved_by)
    yield "glass", "broken: nobody was asked, and it is reviewed afterwards" if opened.glass else ""


def _approval(note: Approval) -> str:
    by = f" by {note.by}" if note.by else ""
    said = f": {note.comment}" if note.comment else ""
    return f"{note.request} {note.event}{by}{said}"


def _lease(opened: Opened) -> str:
    user = f", login {opened.backend_user}" if opened.backend_user else ""
    return f"{opened.lease} from {opened.lease_source}{user}"


def _of_lease(note: LeaseNote) -> str:
    probed = ", and its target refuses it" if note.probed else ""
    return f"{note.event}{probed}{f': {note.why}' if note.why else ''}"


def _counts(summed: Summary) -> str:
    judged = ", ".join(
        f"{number} {_RULINGS.get(ruling, ruling).lower()}" for ruling, number in sorted(summed.rulings.items())
    )
    told = [
        f"{_many(summed.statements, 'statement')}{f' ({judged})' if judged else ''}",
        _many(summed.runs, "run", "of prepared ones") if summed.runs else "",
        _many(summed.rows, "row") if summed.rows else "",
        _many(summed.errors, "error") if summed.errors else "",
        f"in {_many(summed.streams, 'stream')}" if summed.streams else "",
    ]
    return f"{', '.join(each for each in told if each)}; {spoken_time(summed.seconds)}"


def _many(number: int, what: str, more: str = "") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}{f' {more}' if more else ''}"


def _names(kit: Kit, counted: Mapping[str, int], left_out: int) -> str:
    """The most used first, in lines that fit, each name whole."""
    names = sorted(counted, key=lambda name: (-counted[name], name))
    told = [f"{inert(name)} ({counted[name]})" for name in names[:NAMES]]
    if len(names) > NAMES or left_out:
        more = f"{len(names) - NAMES}{' and more' if left_out else ''}"
        told.append(f"and {more} others: `-o json` has them")
    room = max((kit.out.columns or 100) - _LABEL, _NARROW)
    return "\n".join(textwrap.wrap(", ".join(told), room, break_long_words=False, break_on_hyphens=False))


def _seal(summed: Summary) -> str:
    if summed.seal is None:
        return "not yet: it is being written, or its broker crashed"
    seal = summed.seal
    end = ", later, after a crash" if seal.unfinished else ""
    return f"by {seal.key}{end}: {seal.entries} entries, root {seal.root}"


def _seen_raw(unmasked: Unmasked) -> str:
    ended = f" to {moment(unmasked.ended_at)}" if unmasked.ended_at else ", still"
    return f"{', '.join(unmasked.classes)} from {moment(unmasked.began_at)}{ended}, request {unmasked.request}"


def _whereabouts(recording: RecordingView | None) -> str:
    if recording is None:
        return ""
    if recording.state == "deleted":
        when = moment(recording.deleted_at)
        return f"deleted {when} by {recording.deleted_by}: the time of the class `{recording.retention}` was over"
    until = f"until {moment(recording.kept_until)}" if recording.kept_until else "for good"
    held = ", and held beyond that" if recording.held else ""
    where = f"{recording.state}, {recording.store}; kept {until} (`{recording.retention}`){held}"
    return f"{where}\n{recording.error}" if recording.error else where


# The statements.


def _lines(ran: Ran) -> Iterator[str]:
    head = f"{ran.seconds:+10.3f}s {inert(ran.stream)} #{ran.n}"
    if ran.runs:
        yield f"{head} runs #{ran.runs}{_parameters(ran.parameters)}{_outcome(ran)}"
    else:
        rules = f" by {', '.join(map(inert, ran.rules))}" if ran.rules else ""
        yield f"{head} {_RULINGS.get(ran.ruling, inert(ran.ruling))}{rules}{_outcome(ran)}"
    facts = {
        "reason": ran.reason,
        "request": ran.request or "",
        "ruling": f"after {spoken_time(ran.waited)}" if ran.waited >= 1 else "",
        "masked": ", ".join(ran.masked),
        "shadow": ran.shadow,
        "error": f"{ran.code} {ran.error}".strip(),
    }
    yield from (f"{_BELOW}{name}: {inert(value)}" for name, value in facts.items() if value)
    yield from (_SAID + line for line in inert_lines(ran.text) if ran.text)


def _outcome(ran: Ran) -> str:
    told = [f"{ran.copied} bytes copied"] if ran.copied else []
    if ran.rows or any(tag.startswith("SELECT") for tag in ran.tags):
        told.append(_many(ran.rows, "row"))
    elif ran.affected:
        told.append(f"{ran.affected} affected")
    if ran.took is not None:
        told.append(_quick(ran.took))
    return f"; {', '.join(told)}" if told else ""


def _quick(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _parameters(values: Sequence[str | None]) -> str:
    shown = " ".join(f"${at}={_parameter(value)}" for at, value in enumerate(values, 1))
    return f" with {shown}" if values else ""


def _parameter(value: str | None) -> str:
    if value is None:
        return "null"
    more = f"… ({len(value)} characters)" if len(value) > _MAX_PARAMETER else ""
    return f"'{inert(value[:_MAX_PARAMETER])}'{more}"

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
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.outcomes import Fold, Ran
from hoopx_broker.recording.replay import Moment, moments
from hoopx_broker.recording.summary import Summary, summary
from hoopx_broker.terms.entries import Approval, LeaseNote, Opened
from hoopx_broker.terms.errors import BackendFailed, Unknown
from hoopx_broker.terms.people import spoken
from hoopx_cli.durations import spoken as spoken_time
from hoopx_cli.folding import tell_folded
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

    @property
    def grows(self) -> bool:
        """Its last entry may be half written. Anywhere else that is evidence which does not hold."""
        return self.view is not None and self.view.state == "open"


def show(kit: Kit, asked: Asked) -> None:
    """The summary. What the broker knows is told even where the recording is not to be had."""
    summed, why = _summed(asked)
    if kit.out.form is Form.JSON:
        row = msgspec.to_builtins(asked.view) if asked.view is not None else {}
        kit.out.json(row | {"summary": summed} | ({"unread": why} if why else {}))
        return
    first = _of_row(asked.view) if asked.view is not None else _of_file(summed)
    told = [*first, *(_of_recording(summed) if summed is not None else ())]
    kit.out.fields((name, _laid(value, kit.out.columns)) for name, value in told)
    if why:
        kit.out.insist(f"more stands in its recording, but {why}")
    elif summed is not None and summed.to:
        kit.out.insist("its entries are encrypted: with the file of one of these keys, `--identity FILE` tells them")


def show_statements(kit: Kit, asked: Asked) -> None:
    """Each with what became of it; with `-o json` one object a line."""
    with asked.opened as file:
        read_part(file)
        for ran, opened_at in _ran(file, asked):
            if kit.out.form is Form.JSON:
                kit.out.json(msgspec.to_builtins(ran) | {"seconds": ran.seconds})
                continue
            for line in _lines(ran, opened_at):
                tell_folded(kit.out, line)


def _ran(file: BinaryIO, asked: Asked) -> Iterator[tuple[Ran, float]]:
    """With when the session was opened."""
    fold = Fold()
    for seconds, entry in _told(file, asked):
        yield from ((ran, fold.opened_at) for ran in fold.take(seconds, entry))
    yield from ((ran, fold.opened_at) for ran in fold.rest())


def _told(file: BinaryIO, asked: Asked) -> Iterator[Moment]:
    try:
        yield from moments(file, asked.identity)
    except TornEnd:
        if not asked.grows:
            raise


def _summed(asked: Asked) -> tuple[Summary | None, str]:
    """Or why not: where the recording is, or what became of it."""
    try:
        with asked.opened as file:
            read_part(file)
            return summary(file, asked.identity, grows=asked.grows), ""
    except (Unknown, BackendFailed) as error:
        if asked.view is None:
            raise
        return None, f"{error.message}; {error.hint}" if error.hint else error.message


# The summary.


def _of_file(summed: Summary | None) -> Iterator[tuple[str, str]]:
    """What the broker would tell of a session, as its recording has it."""
    if summed is None or summed.opened is None:
        return
    opened = summed.opened
    yield "session", opened.session
    yield "user", spoken(opened.principal.user, opened.principal.on_behalf_of)
    yield "target", opened.target
    yield "opened", moment(opened.opened_at)
    yield "end", summed.end
    yield "reason", opened.reason
    yield "ticket", opened.ticket


def _of_row(view: SessionView) -> Iterator[tuple[str, str]]:
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


def _of_recording(summed: Summary) -> Iterator[tuple[str, str]]:
    if (opened := summed.opened) is not None:
        yield from _of_opening(opened)
        yield "approvals", "\n".join(map(_approval, summed.approvals))
        yield "lease", "\n".join([_lease(opened), *map(_of_lease, summed.leases)]) if opened.lease else ""
        yield "done", _counts(summed)
        for name in ("tables", "effects", "rules", "masked"):
            yield name, _names(getattr(summed, name), summed.left_out.get(name, 0))
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


def _names(counted: Mapping[str, int], left_out: int) -> str:
    """The most used first."""
    names = sorted(counted, key=lambda name: (-counted[name], name))
    told = [f"{inert(name)} ({counted[name]})" for name in names[:NAMES]]
    if len(names) > NAMES or left_out:
        more = f"{len(names) - NAMES}{' and more' if left_out else ''}"
        told.append(f"and {more} others: `-o json` has them")
    return ", ".join(told)


def _laid(value: str, columns: int | None) -> str:
    """In lines that fit a terminal, broken between words alone."""
    if columns is None:
        return value
    room = max(columns - _LABEL, _NARROW)
    lines = (textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) for line in value.split("\n"))
    return "\n".join(part for parts in lines for part in parts or [""])


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


def _lines(ran: Ran, opened_at: float) -> Iterator[str]:
    head = f"{ran.at - opened_at:+10.3f}s {inert(ran.stream)} #{ran.n}"
    if ran.statement:
        yield f"{head} runs #{ran.statement}{_parameters(ran.parameters)}{_outcome(ran)}"
    else:
        rules = f" by {', '.join(map(inert, ran.rules))}" if ran.rules else ""
        yield f"{head} {_RULINGS.get(ran.ruling, inert(ran.ruling))}{rules}{_outcome(ran)}"
    facts = {
        "reason": ran.reason,
        "request": ran.request,
        "ruling": f"after {spoken_time(ran.waited)}" if ran.waited >= 1 else "",
        "masked": ", ".join(ran.masked),
        "shadow": ran.shadow,
        "error": f"{ran.code} {ran.error}".strip(),
    }
    yield from (f"{_BELOW}{name}: {inert(value)}" for name, value in facts.items() if value)
    if ran.text:
        yield from (_SAID + line for line in inert_lines(ran.text))


def _outcome(ran: Ran) -> str:
    told = [f"{ran.copied} bytes copied"] if ran.copied else []
    if ran.rows or ran.tag.startswith("SELECT"):
        told.append(_many(ran.rows, "row"))
    elif ran.affected:
        told.append(f"{ran.affected} affected")
    if ran.seconds is not None:
        told.append(f"{ran.seconds * 1000:.1f} ms" if ran.seconds < 1 else f"{ran.seconds:.2f} s")
    return f"; {', '.join(told)}" if told else ""


def _parameters(values: Sequence[str | None]) -> str:
    shown = " ".join(f"${at}={_parameter(value)}" for at, value in enumerate(values, 1))
    return f" with {shown}" if values else ""


def _parameter(value: str | None) -> str:
    if value is None:
        return "null"
    more = f"… ({len(value)} characters)" if len(value) > _MAX_PARAMETER else ""
    return f"'{inert(value[:_MAX_PARAMETER])}'{more}"

"""Find one statement in a recording, bare or exported with its proof, with who sent it and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from msgspec import Struct

from hoopx_broker.recording.bundle import read_part
from hoopx_broker.recording.cells import BINARY, form_of, shown
from hoopx_broker.recording.locks import AgeIdentity
from hoopx_broker.recording.replay import Moment, moments
from hoopx_broker.terms.entries import Entry, Executed, Opened, Statement
from hoopx_broker.terms.errors import BadInput


class Found(Struct, frozen=True):
    """A statement as it was judged: `text` and `parameters` as text, at `at` seconds since the Unix epoch.

    `pending` where it was only prepared there. `ruling`, `rules` and `shadow` are what was recorded of it, for a
    prepared statement that ran the `shadow` only.
    """

    name: str
    text: str
    at: float
    parameters: tuple[str | None, ...] = ()
    pending: bool = False
    ruling: str = ""
    rules: tuple[str, ...] = ()
    shadow: str = ""


def opening(file: BinaryIO, who: AgeIdentity | None = None) -> Opened:
    """How the session began. Raises `BrokenEvidence`, here and below, where the recording does not hold."""
    for _, entry in _from_the_start(file, who):
        if isinstance(entry, Opened):
            return entry
    raise BadInput("the recording is empty", "name another one")


def find(file: BinaryIO, wanted: str, who: AgeIdentity | None = None) -> Found:
    """The statement that `wanted` names as `hoopx sessions replay` does: `3`, or `t_1#3` where streams must be told."""
    stream, _, number = wanted.rpartition("#")
    if not (number.isascii() and number.isdigit()):
        raise BadInput(
            f"`{wanted}` is no number of a statement", "give one as `hoopx sessions replay` shows it: 3, t_1#3"
        )
    began = opening(file, who).opened_at
    found = [(at, entry) for at, entry in _numbered(file, int(number), who) if stream in ("", entry.stream)]
    if not found:
        raise BadInput(f"the recording has no statement `{wanted}`", "`hoopx sessions replay` shows them all")
    if len(found) > 1:
        names = ", ".join(f"{entry.stream}#{entry.n}" for _, entry in found)
        raise BadInput(f"`{wanted}` is the number of several statements", f"say which: {names}")
    ((at, entry),) = found
    return _judged(file, entry, began + at, who)


def _judged(file: BinaryIO, entry: Statement | Executed, at: float, who: AgeIdentity | None) -> Found:
    name = f"{entry.stream}#{entry.n}"
    if isinstance(entry, Statement):
        pending = any(
            isinstance(other, Executed) and other.statement == entry.n for other in _of(file, entry.stream, who)
        )
        return Found(name, entry.text, at, (), pending, entry.ruling, entry.rules, entry.shadow)
    for other in _of(file, entry.stream, who):
        if isinstance(other, Statement) and other.n == entry.statement:
            values = tuple(_text(value, form_of(entry.formats, place)) for place, value in enumerate(entry.parameters))
            return Found(name, other.text, at, values, shadow=entry.shadow)
    raise BadInput(f"`{name}` runs what SQL prepared under a name", "explain the statement that prepared it")


def _numbered(file: BinaryIO, number: int, who: AgeIdentity | None) -> Iterator[tuple[float, Statement | Executed]]:
    for seconds, entry in _from_the_start(file, who):
        if isinstance(entry, Statement | Executed) and entry.n == number:
            yield seconds, entry


def _of(file: BinaryIO, stream: str, who: AgeIdentity | None) -> Iterator[Entry]:
    for _, entry in _from_the_start(file, who):
        if isinstance(entry, Statement | Executed) and entry.stream == stream:
            yield entry


def _from_the_start(file: BinaryIO, who: AgeIdentity | None) -> Iterator[Moment]:
    """Of the recording: in an exported file it begins behind the proof that the log has it."""
    file.seek(0)
    read_part(file)
    return moments(file, who)


def _text(value: bytes | None, form: int) -> str | None:
    """Types are not recorded with parameters: a binary one is shown as hexadecimal digits."""
    if value is None or form == BINARY:
        return shown(value, 0, form)
    return value.decode(errors="backslashreplace")

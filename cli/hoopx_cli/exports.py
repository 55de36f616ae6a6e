"""What `hoopx sessions export` writes beside the recording: lines for programs, sheets, players and collectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from hoopx_broker.recording.locks import AgeIdentity
    from hoopx_broker.recording.replay import Moment


class ExportForm(Enum):
    """What `export` writes."""

    RECORDING = "recording"
    JSONL = "jsonl"
    CSV = "csv"
    ASCIICAST = "asciicast"
    OCSF = "ocsf"


def lines(file: BinaryIO, form: ExportForm, identity: AgeIdentity | None) -> Iterator[str]:
    """The recording that begins where `file` stands, one line after the other, each with its end."""
    # What reads recordings takes cryptography.
    from hoopx_broker.recording.replay import moments

    told = moments(file, identity)
    if form is ExportForm.CSV:
        from hoopx_broker.recording.sheets import sheet

        return sheet(told)
    return (f"{line}\n" for line in _teller(form)(told))


def _teller(form: ExportForm) -> Callable[[Iterator[Moment]], Iterator[str]]:
    from hoopx_broker.recording.casts import cast
    from hoopx_broker.recording.ocsf import ocsf
    from hoopx_broker.recording.replay import jsonl

    return {ExportForm.ASCIICAST: cast, ExportForm.OCSF: ocsf, ExportForm.JSONL: jsonl}[form]

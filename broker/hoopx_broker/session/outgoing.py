"""What a turn records, sends and does: gathered as its engine says so, and let go when it is on record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hoopx_broker.recording.committer import Failed, Settled
from hoopx_broker.recording.failures import RecordingFailed
from hoopx_broker.session.unsettled import Sends, Settle, Unsettled
from hoopx_broker.terms.entries import Entry
from hoopx_broker.wire.effects import Cancel, StartTls


class Outgoing:
    """The turn under way, and those before it that wait for the disk."""

    __slots__ = ("_lost", "_record", "_settle", "_settled", "notes", "to_backend", "to_client", "todo", "unsettled")

    def __init__(
        self, record: Callable[[Sequence[Entry]], None], settle: Settle | None, settled: Settled, lost: Failed
    ) -> None:
        self._record = record
        self._settle = settle
        self._settled = settled
        self._lost = lost
        self.notes: list[Entry] = []
        self.to_client: list[bytes] = []
        self.to_backend: list[bytes] = []
        self.todo: list[StartTls | Cancel] = []
        self.unsettled = Unsettled()

    def recorded(self) -> Sends | None:
        """Record what the turn tells of, and give what it sends: None where that has to wait for the disk.

        Then `settled` is called for each turn, in order, or `lost`. Raises `RecordingFailed`.
        """
        notes, self.notes = self.notes, []
        to_client, self.to_client = b"".join(self.to_client), []
        to_backend, self.to_backend = b"".join(self.to_backend), []
        todo, self.todo = self.todo, []
        if notes:
            self._record(notes)
        if (settle := self._settle) is not None and (notes or self.unsettled):
            if self.unsettled.add(to_backend, to_client, todo, is_noted=bool(notes)):
                settle(self._settled, self._lost)
            return None
        return to_backend, to_client, todo

    def drop(self) -> list[Entry]:
        """Nothing of it is sent; gives what was not recorded yet."""
        unsent, self.notes, self.to_client, self.to_backend, self.todo = self.notes, [], [], [], []
        self.unsettled.clear()
        return unsent


def unrecorded(error: RecordingFailed) -> str:
    return f"hoopx could not record this session, so nothing more is forwarded: {error.message}"

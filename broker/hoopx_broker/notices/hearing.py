"""Write down what is to be told, in the very transaction of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hoopx_broker.api.messages import RequestView
from hoopx_broker.notices import outbox
from hoopx_broker.notices.routing import wants
from hoopx_broker.storage.connection import Connection
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.settings import Notify
from hoopx_broker.terms.targets import Target


class Ear:
    """What the desk calls."""

    def __init__(self, entries: Sequence[Notify], targets: Mapping[str, Target]) -> None:
        self._entries = entries
        self._targets = targets

    def __call__(self, connection: Connection, happening: Happening, view: RequestView) -> None:
        target = self._targets.get(view.target)
        labels = target.labels if target is not None else {}
        wanting = [entry for entry in self._entries if wants(entry, happening, view, labels)]
        for entry in wanting:
            outbox.put(connection, entry, happening, view)
        if wanting:
            connection.tell(outbox.TOPIC)

"""What work on the state is given: SQL that SQLite and PostgreSQL read alike, inside one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row; None where there is none."""

    def fetchall(self) -> list[Any]:
        """All that are left."""

    def close(self) -> None:
        """Nobody looks at the rest."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Valid until the work returns. Parameters are written `?` in order, or `:name`.

    What may be written, and what may not, is in `storage/sql.py`.
    """

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = (), /) -> Rows:
        """Run one statement."""

    def tell(self, topic: str, message: str = "", /) -> None:
        """Once this is committed, those who subscribed to `topic` hear `message`, at every broker on this state."""

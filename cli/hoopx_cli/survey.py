"""Go through the tables of one session's database, and collect what may be said of their columns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from hoopx_broker.api.messages import Opened
from hoopx_broker.terms.errors import BackendFailed, Denied
from hoopx_cli import samples
from hoopx_cli.columns import written
from hoopx_cli.output import Output
from hoopx_cli.proposals import Classes, Column, Proposal, Sample, propose


class Survey:
    """`proposals` for what nobody has classified, `known` what is classified or masked already, `skipped` tables."""

    def __init__(self, opened: Opened, out: Output) -> None:
        self.proposals: list[Proposal] = []
        self.known: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self._classified = dict.fromkeys(opened.masked, "") | opened.classified
        self._masked = frozenset(opened.masked)
        self._target = opened.target
        self._out = out
        self._read = self._denied = 0

    async def run(self, connection: samples.Connection, columns: Iterable[Column], rows: int, classes: Classes) -> None:
        """One statement for each table. Raises `Denied` or `BackendFailed` where none of them could be read."""
        tables = [list(table) for _, table in groupby(columns, lambda column: (column.name.schema, column.name.table))]
        for number, table in enumerate(tables, 1):
            name = f"{table[0].name.schema}.{table[0].name.table}"
            self._out.status(f"{self._target} · {name} · table {number} of {len(tables)}")
            await self._table(connection, name, [one for one in table if not self._is_known(one)], rows, classes)
        self._out.status("")
        if not tables:
            self._out.say(f"`{self._target}` has no column that you may read and that could hold personal data")
        if self.skipped and not self._read:
            self._fail()

    async def _table(
        self, connection: samples.Connection, name: str, table: list[Column], rows: int, classes: Classes
    ) -> None:
        if not table:
            self._read += 1  # all of it is known
            return
        try:
            found = await samples.look(connection, table, rows, classes)
        except samples.NotRead as error:
            self._denied += isinstance(error, samples.TableDenied)
            self.skipped[name] = str(error)
            self._out.insist(f"{name} is skipped: {error}")
            return
        self._read += 1
        for column, sample in zip(table, found, strict=True):
            self._judge(column, sample)

    def _is_known(self, column: Column) -> bool:
        kind = self._classified.get(str(column.name))
        if kind is None:
            return False
        self._knows(column, kind, is_masked=str(column.name) in self._masked)
        return True

    def _judge(self, column: Column, sample: Sample) -> None:
        if sample.is_masked:
            self._knows(column, "", is_masked=True)
            return
        proposal = propose(column, sample)
        if proposal is not None:
            self.proposals.append(proposal)

    def _knows(self, column: Column, kind: str, *, is_masked: bool) -> None:
        name = written(column.name)
        self.known[name] = kind
        told = f"{name} is classified already: {kind}" if kind else f"{name} is masked already"
        self._out.say(f"{told}, and masked for you" if kind and is_masked else told)

    def _fail(self) -> None:
        message = f"none of the {len(self.skipped)} tables of `{self._target}` could be read"
        if self._denied:
            raise Denied(message, f"`hoopx show {self._target}` lists what you may do there")
        raise BackendFailed(message, "the lines above say why")

"""A script: statements that come line by line, and between them the data that a COPY reads, as pg_dump writes it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from msgspec import Struct

from hoopx_broker.terms.errors import BadInput, ExitCode
from hoopx_cli.output import Output
from hoopx_cli.sql.link import Link
from hoopx_cli.sql.running import INTERRUPTED, Data, Runner
from hoopx_cli.sql.statements import Splitter, Statement, statements_in

_READS_DATA = re.compile(r"copy\b.*\bfrom\s+stdin\b", re.IGNORECASE | re.DOTALL)
_END_OF_DATA = (b"\\.\n", b"\\.\r\n", b"\\.")


class Rules(Struct, frozen=True):
    """How a script is run. `parameters` are those of its only statement."""

    keeps_going: bool = False
    is_one_transaction: bool = False
    parameters: tuple[str | None, ...] | None = None


class Script:
    """What standard input says, or a text on the command line."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self._lines = lines
        self._splitter = Splitter()
        self._number = 0
        self._has_data = False

    async def statements(self) -> AsyncIterator[Statement]:
        """Raises `BadInput` for what is no SQL."""
        async for raw in self._lines:
            self._number += 1
            for each in self._splitter.feed(self._sql(raw)):
                self._has_data = _READS_DATA.match(each.text) is not None
                yield each
                async for _ in self.data():  # what nobody has read
                    pass
        for each in self._splitter.rest():
            yield each

    async def data(self) -> Data:
        """The lines below a COPY, up to the line `\\.`."""
        while self._has_data:
            line = await anext(self._lines, b"")
            self._number += 1
            self._splitter.skip()
            if not line or line in _END_OF_DATA:
                self._has_data = False
                return
            yield line

    def _sql(self, raw: bytes) -> str:
        try:
            line = raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"line {self._number} of the script is not UTF-8", "write it as UTF-8") from None
        if line.startswith("\\") and not self._splitter.is_inside:
            word = line.split()[0]
            raise BadInput(
                f"line {self._number} of the script: `{word}` is a command of psql, and no SQL",
                "leave it out, or run the script by `hoopx exec TARGET -- psql -f FILE`",
            )
        return line


class Text:
    """Statements on the command line; standard input is what a COPY of theirs reads."""

    def __init__(self, text: str, data: Data | None) -> None:
        self._statements = statements_in(text)
        self._data = data
        if not self._statements:
            raise BadInput("there is no statement to run", "hoopx sql prod-db 'select 1'")

    @property
    def count(self) -> int:
        return len(self._statements)

    async def statements(self) -> AsyncIterator[Statement]:
        for each in self._statements:
            yield each

    def data(self) -> Data | None:
        return self._data


async def run(runner: Runner, link: Link, script: Script | Text, rules: Rules, out: Output) -> int:
    """The code of the first statement that failed, 0 where none did; nothing runs after it unless rules say so."""
    if rules.is_one_transaction:
        await runner.run(link, "BEGIN")
    code = await run_all(runner, link, script, rules)
    if rules.is_one_transaction:
        code = code or (await runner.run(link, "COMMIT")).code
    if link.state != "I":
        failed = " after the error" if code else ""
        out.say(f"a transaction is open at the end{failed}: it is rolled back")
    return code


async def run_all(runner: Runner, link: Link, script: Script | Text, rules: Rules) -> int:
    """As `run`; what it has begun goes on."""
    code = 0
    is_alone = isinstance(script, Text) and script.count == 1
    async for each in script.statements():
        line = 0 if is_alone else each.line
        ran = await runner.run(link, each.text, rules.parameters, script.data(), line)
        code = code or ran.code
        if ran.code and (not rules.keeps_going or ran.code in (INTERRUPTED, ExitCode.BACKEND_FAILED)):
            break
    return code

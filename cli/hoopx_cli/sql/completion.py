"""What TAB offers at the prompt: names of the catalogue that were read beforehand, so that it never waits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from hoopx_cli.inert import inert
from hoopx_cli.sql.backslash import HELPERS
from hoopx_cli.sql.catalogue import quoted

_WORD = re.compile(r'(?:"[^"]*"?|[\w$\x80-\U0010ffff]|\.)*$')
_AFTER_TABLE = re.compile(r"\b(?:from|join|into|update|table|truncate|copy|only)\s+(?:\w+\s*,\s*)*$", re.IGNORECASE)
# What may stand behind a table's name and is no other name for it.
_NO_ALIAS = "where|on|join|left|right|inner|full|cross|order|group|limit|set|values|returning|using"
_NAME = r'(?:"[^"]+"|\w+)'
_NAMED = re.compile(
    rf"\b(?:from|join|into|update)\s+({_NAME}(?:\.{_NAME})?)(?:\s+(?:as\s+)?(?!(?:{_NO_ALIAS})\b)(\w+))?", re.IGNORECASE
)
_KEYWORDS = re.findall(
    r"\w+",
    """
select from where join left on and or not in is null like ilike between exists order by group having limit
offset distinct as case when then else end union all insert into values update set delete returning with
create table alter drop index view begin commit rollback savepoint explain analyze copy to stdin stdout
truncate grant revoke asc desc nulls first last cast count sum min max avg coalesce current_date
current_timestamp interval using
""",
)


_WITH_FILE = ("\\i ", "\\e ")
_FILES = PathCompleter(expanduser=True)


class Names:
    """Tables with their columns, as they were read last."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.tables: dict[str, list[str]] = {}  # as one writes them -> columns
        self.columns: list[str] = []

    def learn(self, rows: Iterable[tuple[str, str, str, bool]]) -> None:
        """Schema, table, column, and whether the table is found without its schema. Odd names are left out."""
        schemas: dict[str, None] = {}
        tables: dict[str, list[str]] = {}
        columns: dict[str, None] = {}
        for schema, table, column, is_visible in rows:
            if any(inert(name) != name for name in (schema, table, column)):
                continue
            schemas[quoted(schema)] = columns[quoted(column)] = None
            whole = f"{quoted(schema)}.{quoted(table)}"
            for name in (whole, quoted(table)) if is_visible else (whole,):
                tables.setdefault(name, []).append(quoted(column))
        self.schemas, self.tables, self.columns = list(schemas), tables, list(columns)


class SqlCompleter(Completer):
    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        before = document.text_before_cursor
        if before.startswith(_WITH_FILE):
            word = before.partition(" ")[2].lstrip()
            yield from _FILES.get_completions(Document(word, len(word)), complete_event)
            return
        if before.startswith("\\"):
            found, word = self._helpers(before)
        else:
            found, word = self._sql(document.text, before)
        for each in found:
            if each.lower().startswith(word.lower()) and each != word:
                yield Completion(each, -len(word))

    def _helpers(self, before: str) -> tuple[Iterable[str], str]:
        helper, space, word = before.partition(" ")
        if not space:
            return HELPERS, helper
        return (self._names.tables if helper.startswith("\\d") else ()), word.lstrip()

    def _sql(self, text: str, before: str) -> tuple[Iterable[str], str]:
        found = _WORD.search(before)
        word = found[0] if found else ""
        owner, dot, part = word.rpartition(".")
        if dot and (columns := self._columns_of(owner, text)) is not None:
            return [f"{owner}.{column}" for column in columns], word
        tables = [name for name in self._names.tables if bool(dot) == ("." in name)]
        if dot or _AFTER_TABLE.search(before[: len(before) - len(word)]):
            return [*tables, *(() if dot else self._names.schemas)], word
        if not part:
            return (), word
        named = [column for table in self._named(text).values() for column in self._names.tables.get(table, ())]
        keywords = [each.upper() if word.isupper() else each for each in _KEYWORDS]
        return dict.fromkeys([*(named or self._names.columns), *keywords, *tables]), word

    def _columns_of(self, owner: str, text: str) -> list[str] | None:
        """Of a table, or of what a statement calls one."""
        table = self._named(text).get(owner.lower(), owner)
        return self._names.tables.get(table, self._names.tables.get(table.lower()))

    def _named(self, text: str) -> dict[str, str]:
        """Alias (or name) to table, of those that a statement names."""
        return {(alias or table).lower(): table for table, alias in _NAMED.findall(text)}

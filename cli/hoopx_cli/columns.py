"""Write columns as the configuration names them, and proposals as a block of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hoopx_broker.terms.targets import ColumnName
from hoopx_cli.inert import inert
from hoopx_cli.proposals import Proposal

# What SQL takes without quotes, and what YAML takes for nothing but a text.
_PLAIN_PART = re.compile(r"[^\W\dA-Z](?:[^\WA-Z]|\$)*")
_PLAIN_KEY = re.compile(r"[a-z_][a-z0-9_$.]*", re.ASCII)


def as_yaml(proposals: Iterable[Proposal]) -> str:
    """A block `classify:`, as deep as it stands in a target of hoopx.yaml."""
    lines = [f"      {_key(one.column)}: {one.data_class}  # {one.why}" for one in proposals]
    return "\n".join(["    classify:", *lines] if lines else ["    classify: {}"])


def written(column: ColumnName) -> str:
    """A column as the configuration names it, quoted where SQL would need it."""
    return ".".join(
        part if _PLAIN_PART.fullmatch(part) else '"' + part.replace('"', '""') + '"'
        for part in (column.schema, column.table, column.column)
    )


def _key(column: ColumnName) -> str:
    text = written(column)
    if _PLAIN_KEY.fullmatch(text):
        return text
    if inert(text) == text:
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if inert(char) == char:
        return char
    number = ord(char)
    return f"\\u{number:04x}" if number < 0x1_0000 else f"\\U{number:08x}"

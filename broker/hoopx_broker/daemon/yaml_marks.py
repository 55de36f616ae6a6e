"""Read YAML into plain values that know their line, with nothing repeated, hidden or guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct

from hoopx_broker.daemon.problems import Problems
from hoopx_broker.terms.secret import Secret

# A file of ten thousand targets has about this many values; a few aliases of aliases have billions.
MAX_VALUES = 200_000
# The deepest sound configuration has five levels.
MAX_DEPTH = 20

_TAG = "tag:yaml.org,2002:"
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")


class Marked(Struct, frozen=True):
    """A value, the line of its key (or of itself, in a list) and the dotted way to it."""

    line: int
    key: str
    value: str | int | float | bool | dict[str, Marked] | list[Marked] | None


def read_marked(text: str, problems: Problems) -> Marked | None:
    """The one document of `text`, or None after noting why not. Duplicate keys and foreign tags are problems."""
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        problems.note(_line_of(error), "", f"is not YAML: {_cause_of(error)}", "correct the syntax")
        return None
    if node is None or node.tag == _TAG + "null":
        problems.note(0, "", "is empty", "start from the sample in docs/configuration.md")
        return None
    return _Walk(problems).walk(node, node.start_mark.line + 1, "", 0)


def leaves(marked: Marked) -> Iterator[tuple[str, Secret]]:
    """Each single value of a document by its dotted key; what is empty counts as one."""
    match marked.value:
        case dict() as mapping if mapping:
            for each in mapping.values():
                yield from leaves(each)
        case list() as items if items:
            for each in items:
                yield from leaves(each)
        case value:
            yield marked.key, Secret(repr(value))


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 0


def _cause_of(error: yaml.YAMLError) -> str:
    """The parser's own words about the place; never the text at it, which may be a password."""
    cause = getattr(error, "problem", None) or getattr(error, "reason", None)
    return str(cause) if cause else "it cannot be parsed"


class _TooMuch(Exception):
    """The aliases of the file unfold to more than any configuration holds."""


class _Walk:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._values = 0

    def walk(self, node: Any, line: int, key: str, depth: int) -> Marked | None:
        try:
            return self._marked(node, line, key, depth)
        except _TooMuch:
            self._problems.note(line, key, "is too large or too deep", "write values out instead of nesting aliases")
            return None

    def _marked(self, node: Any, line: int, key: str, depth: int) -> Marked:
        self._values += 1
        if self._values > MAX_VALUES or depth > MAX_DEPTH:
            raise _TooMuch
        match node:
            case yaml.MappingNode():
                return Marked(line, key, self._mapping(node, key, depth))
            case yaml.SequenceNode():
                items = enumerate(node.value)
                return Marked(
                    line, key, [self._marked(n, n.start_mark.line + 1, f"{key}[{i}]", depth + 1) for i, n in items]
                )
            case _:
                return Marked(line, key, self._scalar(node, line, key))

    def _mapping(self, node: Any, key: str, depth: int) -> dict[str, Marked]:
        found: dict[str, Marked] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            name = self._name(name_node, line, key)
            inner = f"{key}.{name}" if key else name
            value = self._marked(value_node, line, inner, depth + 1)
            if name in found:
                first = found[name].line
                self._problems.note(line, inner, f"stands twice, first on line {first}", "keep one of the two")
            elif name:
                found[name] = value
        return found

    def _name(self, node: Any, line: int, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._problems.note(line, key, "has a key that is not text", "write keys as plain words")
            return ""
        if node.tag == _TAG + "merge":
            self._problems.note(line, key, "uses the merge key `<<`", "write the values out")
            return ""
        return str(node.value)

    def _scalar(self, node: Any, line: int, key: str) -> str | int | float | bool | None:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() in ("yes", "true", "on")
            case "int" if _WHOLE.fullmatch(text):
                return int(text)
            case "float":
                return _float(text)
            # A day, an octal number or minutes in base 60 mean themselves here, as written.
            case "str" | "int" | "timestamp" | "value":
                return text
            case _:
                self._problems.note(line, key, f"has the tag `{node.tag}`", "write a plain value")
                return None


def _float(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

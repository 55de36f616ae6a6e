"""The examples of the documentation, and the commands that stand in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from hoopx_cli.commands import Group, Node, Root
from hoopx_cli.completion_tree import spots
from hoopx_cli.words import demand, read

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_STARTS = re.compile(r"(?<![\w/.~'+=-])hoopx (?=[a-z])")


class Example(Struct, frozen=True):
    page: str
    language: str
    text: str


@cache
def pages() -> dict[str, str]:
    """By their path below `docs`; decisions are of their day, and their examples too."""
    docs = ROOT / "docs"
    found = {str(path.relative_to(docs)): path.read_text(encoding="utf-8") for path in sorted(docs.rglob("*.md"))}
    kept = {name: text for name, text in found.items() if not name.startswith("decisions/")}
    return kept | {f"../{name}": (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}


@cache
def examples() -> tuple[Example, ...]:
    return tuple(
        Example(page, language or "text", text)
        for page, whole in pages().items()
        for language, text in _BLOCK.findall(whole)
    )


def in_prose(page: str) -> list[str]:
    """What stands in quotes of code outside of the examples."""
    return _CODE.findall(_BLOCK.sub("", pages()[page]))


def commands_in(text: str) -> Iterator[list[str]]:
    """The words behind each `hoopx`, up to where the shell takes over again."""
    text = re.sub(r"\\\n|(?<=\s)\d(?=>)", " ", text)
    for line in text.splitlines():
        for start in _STARTS.finditer(line):
            yield list(_words(line[start.end() :]))


def _words(line: str) -> Iterator[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    while (word := lexer.get_token()) not in (None, "|", "||", "&&", ";", ">", "<", ")"):
        yield str(word)


def place(words: list[str]) -> tuple[Node, list[str]]:
    """The command that words lead to, and what is left for it. Raises `LookupError`."""
    command: Node = Root()
    rest = words
    while rest and (found := command.find(rest[0]) if isinstance(command, Group) else None):
        command, rest = found, rest[1:]
    if isinstance(command, Group) and command.alone is None and rest:
        raise LookupError(f"there is no `hoopx {' '.join(words)}`")
    return command, rest


def options_of(command: Node) -> set[str]:
    return {name for each in command.places if each.is_option for name in each.names}


@cache
def every_option() -> frozenset[str]:
    return frozenset(option for spot in spots() for option in spot.options)


def _own(rest: list[str]) -> list[str]:
    """What stands before a child's own words."""
    return rest[: rest.index("--")] if "--" in rest else rest


def unknown_options(words: list[str]) -> list[str]:
    """Options of a command line that its command does not have."""
    command, rest = place(words)
    named = [word.partition("=")[0] for word in _own(rest) if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)]
    return [option for option in named if option not in options_of(command) | {"--debug"}]


def is_taken(words: list[str]) -> None:
    """Raises what the command line says to somebody who types these words, as far as words alone tell."""
    command, rest = place(words)
    if isinstance(command, Group) and command.alone is None:
        raise LookupError(f"which command below `hoopx {' '.join(words)}`?")
    demand(read(_own(rest), command.places), command.places)

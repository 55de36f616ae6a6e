"""The examples of the documentation, and the commands that stand in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from msgspec import Struct

from hoopx_cli.kit import Kit
from hoopx_cli.menu import COMMANDS
from hoopx_cli.output import of_process

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


@cache
def _tree() -> dict[str, Any]:
    return {
        name: typer.main.get_group(import_module(module).app).commands[name] for name, (module, _) in COMMANDS.items()
    }


def place(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words lead to, and what is left for it. Raises `LookupError`."""
    if words[0] not in _tree():
        raise LookupError(f"there is no `hoopx {words[0]}`")
    command, rest = _tree()[words[0]], words[1:]
    if words[0] == "accounts" and rest[:1] != ["use"]:
        rest = ["ls", *rest]  # it may be left out
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def options_of(command: Any) -> set[str]:
    return {option for param in command.params for option in param.opts if option.startswith("-")} | {"--help"}


@cache
def every_option() -> frozenset[str]:
    def below(command: Any) -> Iterator[str]:
        yield from options_of(command)
        for each in getattr(command, "commands", {}).values():
            yield from below(each)

    return frozenset({"--version", "--debug"}.union(*(below(command) for command in _tree().values())))


def unknown_options(words: list[str]) -> list[str]:
    """Options of a command line that its command does not have."""
    command, rest = place(words)
    mine = rest[: rest.index("--")] if "--" in rest else rest
    known = options_of(command) | {"--debug"}
    return [
        word for word in mine if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word) and word.partition("=")[0] not in known
    ]


def is_taken(words: list[str]) -> None:
    """Raises what the command line says to somebody who types these words, as far as words alone tell."""
    command, rest = place(words)
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        raise LookupError(f"there is no `hoopx {' '.join(words)}`")
    own = rest[: rest.index("--")] if "--" in rest else rest
    command.make_context(words[0], own, obj=Kit({}, of_process({})))

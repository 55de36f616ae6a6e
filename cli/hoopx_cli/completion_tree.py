"""The places of the command line, and what may stand at each: read off the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from typing import Any

import typer
from msgspec import Struct, field

from hoopx_cli.menu import COMMANDS

HEADER = "Made by hoopx from its commands (HOOPX_RENEW=1 and the tests renew it); do not edit."
# What an argument or an option takes is written in tokens: a kind of names, FILES, FOLDERS, or `=WORD` for each word of
# a choice. FREE is a value that nobody can guess.
FILES, FOLDERS, FREE = "files", "folders", "-"
# By the metavar in the help, each part of it.
_TAKEN = {
    "TARGET": "targets",
    "SESSION": "sessions",
    "USER": "users",
    "FILE": FILES,
    "PATH": FILES,
    "DIRECTORY": FOLDERS,
}
# An ID is of what its command is about, or of what its option says.
_IDS = {
    "requests": "requests",
    "approve": "requests",
    "deny": "requests",
    "sessions": "sessions",
    "leases": "leases",
    "--request": "requests",
    "--session": "sessions",
}
# Where the metavar does not tell.
_PARTICULAR = {
    "--account": "accounts",
    "accounts use": "accounts",
    "agent --target": "targets",
    "requests ls --state": "=waiting =approved =denied =cancelled =expired =used",
    "requests ls --review": "=open =accepted =objected",
}


class Spot(Struct, frozen=True):
    """A place on the command line: its path (`sessions ls`), what may stand there, and what its options take.

    `behind` has the options that take a value, with the tokens of what that may be.
    """

    path: str
    words: tuple[str, ...]
    options: tuple[str, ...]
    takes: str = ""
    behind: dict[str, str] = field(default_factory=dict)


def spots() -> Iterator[Spot]:
    """Every place of the command line, the root first."""
    yield Spot("", tuple(COMMANDS), ("--debug", "--help", "--version"))
    for name, (module, _) in COMMANDS.items():
        commands = typer.main.get_group(import_module(module).app).commands
        yield from _below(name, commands[name])


def options_behind(places: list[Spot]) -> list[tuple[str, str, str]]:
    """Each place, option and tokens of what it takes there; then `*` for the place, for what it takes wherever else."""
    taken: dict[str, dict[str, str]] = {}
    for spot in places:
        for option in spot.options:
            taken.setdefault(option, {})[spot.path] = spot.behind.get(option, "")
    particular, usual = [], []
    for option, by_path in sorted(taken.items()):
        everywhere = list(by_path.values())
        most = "" if "" in everywhere else max(sorted(set(everywhere)), key=everywhere.count)
        particular += [(path, option, tokens) for path, tokens in by_path.items() if tokens not in ("", most)]
        usual += [("*", option, most)] if most else []
    return sorted(particular, key=lambda each: each[2]) + sorted(usual, key=lambda each: each[2])


def _below(path: str, command: Any) -> Iterator[Spot]:
    words = tuple(getattr(command, "commands", ()))
    arguments = [param for param in command.params if not _options([param])]
    takes = " ".join(dict.fromkeys(_tokens(path, "", param) for param in arguments))
    behind = {
        option: _tokens(path, option, param)
        for param in command.params
        if not getattr(param, "is_flag", False)
        for option in _options([param])
    }
    yield Spot(path, words, _sorted({*_options(command.params), "--help"}), takes.replace(FREE, "").strip(), behind)
    for name in words:
        yield from _below(f"{path} {name}", command.commands[name])


def _options(params: list[Any]) -> list[str]:
    return [each for param in params for each in param.opts if each.startswith("-")]


def _sorted(options: set[str]) -> tuple[str, ...]:
    return tuple(sorted(options, key=lambda option: (option.lstrip("-"), option)))


def _tokens(path: str, option: str, param: Any) -> str:
    choices = getattr(param.type, "choices", ())
    if choices:
        return " ".join(f"={getattr(each, 'value', each)}" for each in choices)
    named = f"{path} {option}".strip()
    for place in (named, option):
        if place in _PARTICULAR:
            return _PARTICULAR[place]
    if param.metavar is None and type(param.type).__name__ == "TyperPath":
        return FOLDERS
    parts = (param.metavar or "").strip("[].").replace("]", "").split("|")
    found = [_IDS.get(option or path.split()[0], "") if part == "ID" else _TAKEN.get(part, "") for part in parts]
    return " ".join(filter(None, found)) or FREE


def quoted(text: str) -> str:
    """For each of the shells: no name of ours holds a quote."""
    return f"'{text}'"


def alternatives(places: list[Spot], separator: str) -> str:
    """The paths, each quoted."""
    return separator.join(quoted(spot.path) for spot in places if spot.path)


def cases_behind(places: list[Spot]) -> str:
    """Cases of bash and zsh for the command's path and the word before."""
    lines = []
    for (tokens, _), group in groupby(options_behind(places), key=lambda each: (each[2], each[0] == "*")):
        patterns = "|".join(
            f"*{quoted(' ' + option)}" if path == "*" else quoted(f"{path} {option}") for path, option, _ in group
        )
        lines.append(f"  {patterns}) behind={quoted(tokens)} ;;")
    return "\n".join(lines)


def filled(text: str, **parts: str) -> str:
    """A script's text with its parts in the places of their marks."""
    for mark, part in parts.items():
        text = text.replace(f"@{mark}@", part)
    return text

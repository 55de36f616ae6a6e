"""The places of the command line, and what may stand at each: read off the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from msgspec import Struct, field

from hoopx_cli.commands import Node, Root
from hoopx_cli.places import Place

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
    root = Root()
    yield Spot("", tuple(root.names), ("--debug", "--help", "--version"))
    for name in root.names:
        if (node := root.find(name)) is not None:
            yield from _below(name, node)


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


def _below(path: str, command: Node) -> Iterator[Spot]:
    words, places = tuple(command.commands), command.places
    arguments = [place for place in places if not place.is_option]
    takes = " ".join(dict.fromkeys(_tokens(path, "", place) for place in arguments))
    behind = {option: _tokens(path, option, place) for place in places if not place.is_flag for option in place.names}
    options = {option for place in places for option in place.names} - {"-h"}
    yield Spot(path, words, _sorted(options), takes.replace(FREE, "").strip(), behind)
    for name in words:
        yield from _below(f"{path} {name}", command.commands[name])


def _sorted(options: set[str]) -> tuple[str, ...]:
    return tuple(sorted(options, key=lambda option: (option.lstrip("-"), option)))


def _tokens(path: str, option: str, place: Place) -> str:
    if place.choices:
        return " ".join(f"={each}" for each in place.choices)
    named = f"{path} {option}".strip()
    for each in (named, option):
        if each in _PARTICULAR:
            return _PARTICULAR[each]
    parts = place.metavar.strip("[].").replace("]", "").split("|")
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

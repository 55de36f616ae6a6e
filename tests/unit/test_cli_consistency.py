"""One command line: the same option means the same everywhere, places are named in capitals, and examples are true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from hoopx_cli.commands import Command, Node, Root
from hoopx_cli.completion_tree import spots

SPOTS = {spot.path: spot for spot in spots()}
# An option that takes something else in one command than in the others, where that is meant.
MEANT = {
    "--as": "an agent of yours; anybody, in a question to policy",
    "--at": "a moment of a recording; a time of the day",
    "--extend": "a session; in a question to policy, any",
    "--key": "under which a request is asked for again; the one that evidence is verified with",
    "--since": "a time; a length of time before now; a checkpoint",
}
# How an example goes on behind its command.
_NEXT = {"|", ">", "<", "&&", ";", "--"}


def commands() -> Iterator[tuple[str, Command]]:
    """Every command that does something, with its path."""

    def below(path: str, node: Node) -> Iterator[tuple[str, Command]]:
        if isinstance(node, Command):
            yield path, node
            return
        for name in node.names:
            found = node.find(name)
            assert found is not None
            yield from below(f"{path} {name}".strip(), found)
        if node.alone is not None:
            yield path, node.alone

    return below("", Root())


COMMANDS = dict(commands())


def test_an_option_takes_the_same_everywhere() -> None:
    taken: dict[str, dict[str, list[str]]] = {}
    for path, command in COMMANDS.items():
        for each in command.places:
            for name in each.names:
                if name.startswith("--"):
                    kind = "" if each.is_flag else "a choice" if each.choices else each.metavar
                    assert kind or each.is_flag, f"{path} {name}"
                    taken.setdefault(name, {}).setdefault(kind, []).append(path)
    several = {name: kinds for name, kinds in taken.items() if len(kinds) > 1}
    assert {name: kinds for name, kinds in several.items() if name not in MEANT} == {}
    assert set(MEANT) <= set(several), "what is no exception any more is none here"


@pytest.mark.parametrize("path", [path for path in COMMANDS if path])
def test_places_are_named_in_capitals(path: str) -> None:
    for each in COMMANDS[path].places:
        if not each.is_option:
            assert re.fullmatch(r"\[?[A-Z]+(\|[A-Z]+)*(\.\.\.)?\]?(\.\.\.)?", each.metavar), each.metavar


@pytest.mark.parametrize("path", SPOTS)
def test_an_example_uses_what_is_there(path: str) -> None:
    command = COMMANDS.get(path)
    text = (command.help or "") if command is not None else ""
    example = text.partition("\n")[0].removeprefix("Example: ")
    for line in re.findall(r"hoopx [^)\"]*", example):
        words = shlex.split(line, comments=True)[1:]
        end = next((at for at, word in enumerate(words) if word in _NEXT), len(words))
        used = [word.partition("=")[0] for word in words[:end] if re.match(r"--?[a-z]", word)]
        known = max((one for one in SPOTS if f"{' '.join(words)} ".startswith(f"{one} ")), key=len, default="")
        assert set(used) <= {*SPOTS[known].options, "-f", "-n"}, (line, known)

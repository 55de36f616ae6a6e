"""Make the completion scripts out of the command tree. Run when a command changes; the result is kept in files."""

from __future__ import annotations

from collections.abc import Callable

from hoopx_cli import completion_bash, completion_fish, completion_powershell, completion_zsh
from hoopx_cli.completion import Shell
from hoopx_cli.completion_tree import Spot, spots

_WRITERS: dict[Shell, Callable[[list[Spot]], str]] = {
    Shell.BASH: completion_bash.script,
    Shell.ZSH: completion_zsh.script,
    Shell.FISH: completion_fish.script,
    Shell.POWERSHELL: completion_powershell.script,
}


def script(shell: Shell) -> str:
    """The whole script of one shell."""
    return _WRITERS[shell](list(spots()))

"""`hoopx completion`: scripts that complete without starting Python, made from the command tree and kept in files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

from hoopx_cli.commands import LOCAL, group
from hoopx_cli.kit import Kit
from hoopx_cli.places import Argument

app = group("Example: hoopx completion bash")


class Shell(Enum):
    """A shell, by its name."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


FILES = {
    Shell.BASH: "hoopx.bash",
    Shell.ZSH: "_hoopx",
    Shell.FISH: "hoopx.fish",
    Shell.POWERSHELL: "hoopx.ps1",
}


@app.command(LOCAL)
def completion(
    kit: Kit,
    shell: Annotated[Shell, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Example: hoopx completion bash > ~/.local/share/bash-completion/completions/hoopx

    Print the completion script of a shell. It completes commands, options, and the names of targets, sessions and
    requests that earlier commands saw.
    """
    kit.out.raw((folder() / FILES[shell]).read_bytes())


def folder() -> Path:
    """The scripts: inside the installed package, or at the root of a checkout."""
    installed = Path(__file__).parent / "completions"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "completions"

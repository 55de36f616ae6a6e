"""Tell a story in a terminal: scenes, the commands typed in them and what those said. A plain log elsewhere."""

from __future__ import annotations

import time

from hoopx_cli.inert import inert_lines
from hoopx_cli.output import Output

# Long enough to read a line or two; nobody reads along when it goes to a file.
PACE_SECONDS = 0.7


class Narrator:
    def __init__(self, out: Output) -> None:
        self._out = out
        self._scenes = 0

    def title(self, text: str) -> None:
        self._out.styled(f"\n{text}", "bold")

    def scene(self, title: str, why: str) -> None:
        self._scenes += 1
        self._out.styled(f"\n{self._scenes}. {title}", "bold cyan")
        self._out.styled(f"   {why}", "dim")
        self._breathe()

    def say(self, text: str) -> None:
        self._out.data(f"   {text}")

    def fact(self, name: str, value: str) -> None:
        self._out.data(f"   {name}: {value}")

    def command(self, who: str, command: str, *typed: str) -> None:
        """What somebody types: a command, and lines into it."""
        self._out.styled(f"\n   {who} $ {command}", "bold green")
        for line in typed:
            self._out.styled(f"     {line}", "green")
        self._breathe()

    def output(self, text: str) -> None:
        """What a command said."""
        for line in inert_lines(text.strip("\n")):
            self._out.data(f"   │ {line}" if line else "   │")
        self._breathe()

    def checked(self, text: str) -> None:
        """A claim that has been looked at."""
        self._out.styled(f"   ✓ {text}", "bold")

    def _breathe(self) -> None:
        if self._out.is_terminal:
            time.sleep(PACE_SECONDS)

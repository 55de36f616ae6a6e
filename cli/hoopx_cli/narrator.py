"""Tell a story in a terminal: scenes, the commands typed in them and what those said. A plain log elsewhere."""

from __future__ import annotations

import textwrap
import time

from hoopx_cli.inert import inert_lines
from hoopx_cli.output import Output

# Long enough to read a line or two; nobody reads along when it goes to a file.
PACE_SECONDS = 0.7
# A terminal narrower than this breaks lines as it likes.
MIN_ROOM = 30


# Words of a refusal, in a command's own output.
_REFUSED = ("ERROR:", "hoopx:")


class Narrator:
    def __init__(self, out: Output) -> None:
        self._out = out
        self._scenes = 0

    def title(self, text: str) -> None:
        self._out.styled(f"\n{text}", "bold")

    def scene(self, title: str, why: str) -> None:
        self._scenes += 1
        self._out.styled(f"\n{self._scenes}. {title}", "bold cyan")
        self._put("   ", why, style="dim")
        self._breathe()

    def say(self, text: str) -> None:
        self._put("   ", text)

    def fact(self, name: str, value: str) -> None:
        self._put("   ", f"{name}: {value}")

    def command(self, who: str, command: str, *typed: str) -> None:
        """What somebody types: a command, and lines into it."""
        self._out.data("")
        self._put("   ", f"{who} $ {command}", style="bold green", rest="       ")
        for line in typed:
            self._put("     ", line, style="green", rest="       ")
        self._breathe()

    def copy(self, line: str, why: str) -> None:
        """A line to take into another terminal: never broken, and nothing around it that is not for a shell."""
        self._out.data("")
        self._put("   ", why, style="dim")
        self._out.styled(f"   {line}", "green")

    def output(self, text: str) -> None:
        """What a command said."""
        for line in inert_lines(text.strip("\n")):
            self._put("   │ ", line, style="red" if line.startswith(_REFUSED) else "")
        self._breathe()

    def checked(self, text: str) -> None:
        """A claim that has been looked at."""
        self._put("   ✓ ", text, style="bold", rest="     ")

    def _put(self, margin: str, text: str, *, style: str = "", rest: str | None = None) -> None:
        """A line behind its margin, broken between words at the terminal's edge; what follows stands behind `rest`."""
        for at, piece in enumerate(_pieces(text, self._room(max(margin, rest or "", key=len)))):
            line = ((margin if at == 0 or rest is None else rest) + piece).rstrip()
            if style:
                self._out.styled(line, style)
            else:
                self._out.data(line)

    def _room(self, margin: str) -> int | None:
        return None if self._out.columns is None else max(MIN_ROOM, self._out.columns - len(margin))

    def _breathe(self) -> None:
        if self._out.is_terminal:
            time.sleep(PACE_SECONDS)


def _pieces(text: str, room: int | None) -> list[str]:
    if room is None or len(text) <= room:
        return [text]
    return textwrap.wrap(text, room, break_on_hyphens=False) or [""]

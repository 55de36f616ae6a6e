"""A person at a terminal with `hoopx` (or a shell) on it: types, and reads the screen."""

from __future__ import annotations

import time

import pexpect
import pyte

from tests.unit.cli_stage import HOOPX, Stage


class Person:
    """Somebody who looks at a terminal of this width."""

    def __init__(self, stage: Stage, columns: int, *arguments: str, program: str = HOOPX, **more: str) -> None:
        self.screen = pyte.Screen(columns, 24)
        self._stream = pyte.Stream(self.screen)
        environ = stage.environment(TERM="xterm", **more)
        self.terminal = pexpect.spawn(
            program, list(arguments), env=environ, timeout=60, encoding="utf-8", dimensions=(24, columns)
        )

    def sees(self, text: str) -> None:
        """In one line of the screen, sooner or later."""
        deadline = time.monotonic() + 30
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} is not on the screen:\n{self.text}"
            try:
                self._stream.feed(self.terminal.read_nonblocking(65536, timeout=1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                assert text in self.text, f"{text!r} never came:\n{self.text}"

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def leaves(self) -> int | None:
        self.terminal.sendintr()
        self.sees(" over")
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()
        code: int | None = self.terminal.exitstatus
        return code

    def types(self, line: str) -> None:
        self.terminal.sendline(line)

    def presses(self, control: str) -> None:
        self.terminal.sendcontrol(control)

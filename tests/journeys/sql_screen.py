"""A terminal with `hoopx sql` on it: seen as a person sees it, by an emulator that obeys its escape codes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pexpect
import pyte

from tests.journeys.stage import Stage
from tests.peers.clients import HOOPX

LIMIT = 30


class _Emulator(pyte.Screen):
    """Answers where its cursor is, as terminals do."""

    def __init__(self, columns: int, rows: int, answer: Callable[[str], object]) -> None:
        self._answer = answer
        super().__init__(columns, rows)

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Screen:
    """So many columns and rows."""

    def __init__(
        self,
        stage: Stage,
        arguments: list[str],
        columns: int = 80,
        rows: int = 24,
        program: str = str(HOOPX),
        **environ: str,
    ) -> None:
        whole = stage.environment("ann", TERM="xterm-256color", LANG="C.UTF-8") | environ
        self.process: pexpect.spawn[bytes] = pexpect.spawn(
            program, arguments, env=whole, timeout=LIMIT, dimensions=(rows, columns)
        )
        self._screen = _Emulator(columns, rows, self.process.send)
        self._stream = pyte.ByteStream(self._screen)
        self.heard = b""

    def read(self, until: Callable[[str], object]) -> str:
        """The screen, once it is as `until` wants it."""
        end = time.monotonic() + LIMIT
        while not until(self.text):
            assert time.monotonic() < end, f"the screen stays\n{self.text}"
            with suppress(pexpect.TIMEOUT):
                self._feed(self.process.read_nonblocking(65536, 1))
        return self.text

    def shows(self, *told: str) -> str:
        return self.read(lambda text: all(each in text for each in told))

    def completes(self, *told: str) -> str:
        """TAB, again and again: the names are read while one types, and nothing waits for them."""

        def press_and_look(text: str) -> bool:
            if all(each in text for each in told):
                return True
            self.type("\t")
            return False

        return self.read(press_and_look)

    def waits_at(self, prompt: str) -> str:
        """The cursor stands behind a prompt, with nothing typed."""
        return self.read(lambda text: text.splitlines() and text.splitlines()[-1] == prompt.rstrip())

    def type(self, *keys: str) -> None:
        for key in keys:
            self.process.send(key)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def clear(self) -> None:
        """What was shown so far is not looked for any more."""
        self._screen.reset()

    def end(self) -> int | None:
        self.process.expect(pexpect.EOF)
        self._feed(self.process.before or b"")
        self.process.close()
        code: int | None = self.process.exitstatus
        return code

    def _feed(self, data: bytes) -> None:
        self.heard += data
        self._stream.feed(data)


@contextmanager
def screen(stage: Stage, *arguments: str, columns: int = 80, rows: int = 24, **environ: str) -> Iterator[Screen]:
    shown = Screen(stage, ["sql", *arguments], columns, rows, **environ)
    try:
        yield shown
    finally:
        shown.process.close(force=True)

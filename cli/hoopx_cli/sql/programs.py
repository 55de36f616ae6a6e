"""A person's own programs beside the prompt: the editor of `\\e`, and the pager of what is longer than the screen."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import child as child_room
from hoopx_cli.output import Output
from hoopx_cli.signals import Signals
from hoopx_cli.sql import files
from hoopx_cli.sql.pipes import Outlet

# What less does where nobody has said otherwise: colours, no wrapping, and what is on the screen stays there.
_LESS = "FRSX"
_LEAVE_SECONDS = 5
_SPARE_LINES = 2  # the count below, and the prompt


async def edited(text: str, named: str, environ: Mapping[str, str], out: Output, signals: Signals) -> str:
    """What a person makes of it in their editor. Raises `BadInput`."""
    with TemporaryDirectory(prefix="hoopx-") as folder:  # of mode 0700
        path = files.path_of(named) if named else Path(folder, "statement.sql")
        if not named:
            path.write_text(f"{text}\n" if text else "", encoding="utf-8")
        await _run_editor(path, environ, out, signals)
        try:
            with files.reading(path) as handle:
                size = os.fstat(handle).st_size
                return os.read(handle, size).decode("utf-8").rstrip()
        except UnicodeDecodeError:
            raise BadInput(f"`{path}` is not UTF-8", "write it as UTF-8") from None


async def _run_editor(path: Path, environ: Mapping[str, str], out: Output, signals: Signals) -> None:
    name = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    try:
        child = child_room.start([*_words(name, "EDITOR"), str(path)], environ, signals.rest)
    except child_room.NotStarted as error:
        raise BadInput(error.message, "EDITOR names the editor that \\e starts") from None
    try:
        with signals.handed_to(child.forward, rests=True), _quiet(out):
            code = await child.wait()
    finally:
        await child.stop()
    if code:
        raise BadInput(f"the editor left with {code}", "what you had typed is in the history, and did not run")


class Paging(Outlet):
    """Straight to the screen what fits on it, the rest through a program that shows it page by page."""

    def __init__(self, handle: int, environ: Mapping[str, str], out: Output) -> None:
        super().__init__(handle)
        self.is_on = True
        self._environ = environ
        self._out = out
        self._held = b""
        self.is_unwanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Outlet | None = None

    @property
    def is_showing(self) -> bool:
        return self._process is not None

    async def write(self, data: bytes) -> None:
        if self.is_unwanted:
            return
        if self._process is not None:
            await self._feed(data)
        elif not self.is_on:
            await super().write(data)
        else:
            self._held += data
            if self._held.count(b"\n") > shutil.get_terminal_size().lines - _SPARE_LINES:
                await self._begin()

    async def end(self) -> None:
        """What is shown has been seen when this returns."""
        held, self._held = self._held, b""
        self.is_unwanted = False
        await super().write(held)
        await self._until_left()

    async def _until_left(self) -> None:
        """It has the screen until its reader leaves."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.close()
        with _quiet(self._out):
            await asyncio.to_thread(process.wait)
        self._process = self._pipe = None

    def leave(self) -> None:
        self._held, self.is_unwanted = b"", False
        process, self._process, self._pipe = self._process, None, None
        if process is not None:
            process.terminate()
            with suppress(OSError, subprocess.TimeoutExpired):
                process.wait(_LEAVE_SECONDS)
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()

    async def _begin(self) -> None:
        held, self._held = self._held, b""
        if self._starts():
            await self._feed(held)
        else:
            self.is_on = False
            await super().write(held)

    def _starts(self) -> bool:
        command = self._command()
        if not command:
            return False
        environ = {"LESS": _LESS} | dict(self._environ)
        try:
            self._process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE)
        except OSError as error:
            self._out.error(f"`{command[0]}` cannot be run: {(error.strerror or '').lower()}", "PAGER names the pager")
            return False
        assert self._process.stdin is not None
        self._pipe = Outlet(self._process.stdin.fileno())
        return True

    async def _feed(self, data: bytes) -> None:
        """Who leaves the pager has seen enough; the statement goes on, as what it does is not only to be seen."""
        assert self._pipe is not None
        try:
            with _quiet(self._out):
                await self._pipe.write(data)
        except OSError:
            self.is_unwanted = True
            await self._until_left()

    def _command(self) -> list[str]:
        """Empty for none."""
        named = self._environ.get("PAGER")
        if named is None:
            found = shutil.which("less") or shutil.which("more")
            return [found] if found else []
        return [] if named.strip() in ("", "cat") else _words(named, "PAGER")


@contextmanager
def _quiet(out: Output) -> Iterator[None]:
    """Another program has the screen: what is said meanwhile is said after it."""
    held: list[str] = []
    try:
        with out.telling(held.append):
            yield
    finally:
        for text in held:
            out.tell_now(text)


def _words(command: str, variable: str) -> list[str]:
    """Raises `BadInput`."""
    try:
        return shlex.split(command)
    except ValueError:
        raise BadInput(f"{variable} has a quote that nothing closes", f"set {variable} to a command") from None

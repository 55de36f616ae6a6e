"""The line that is typed at: several lines until a semicolon, history, TAB, and the state in the prompt."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.filters import completion_is_selected, has_completions
from prompt_toolkit.formatted_text import AnyFormattedText
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.output import ColorDepth, create_output
from prompt_toolkit.shortcuts import CompleteStyle

from hoopx_cli.output import Output
from hoopx_cli.sql.completion import Names, SqlCompleter
from hoopx_cli.sql.history import PrivateHistory
from hoopx_cli.sql.statements import Splitter

LEAVING = frozenset({"quit", "exit", "\\q"})
_STATES = {"T": "*", "E": "!"}


def is_whole(text: str) -> bool:
    """Is there nothing to be typed any more? A helper is one line, and so are the words that leave."""
    stripped = text.strip()
    if not stripped or stripped.startswith("\\") or stripped.rstrip(";").lower() in {*LEAVING, "help"}:
        return True
    return not open_in(text)


def open_in(text: str) -> str:
    """What is still open at the end of a text, as `Splitter.is_inside`."""
    splitter = Splitter()
    for line in text.splitlines(keepends=True):
        splitter.feed(line)
    return splitter.is_inside


class Abandoned(Exception):
    """What was typed is not wanted. No `KeyboardInterrupt`, which would end the event loop and not only the line."""


class Prompt:
    def __init__(self, out: Output, home: Path, target: str, names: Names) -> None:
        self._out = out
        self._target = target
        self.history = PrivateHistory(home)
        self._telling: Awaitable[None] | None = None  # the loop itself keeps no task alive
        self._session: PromptSession[str] = PromptSession(
            history=self.history,
            completer=SqlCompleter(names),
            complete_while_typing=False,
            complete_style=CompleteStyle.COLUMN,
            enable_history_search=True,
            multiline=True,
            prompt_continuation=self._continuation,
            key_bindings=_keys(),
            color_depth=None if out.has_colour else ColorDepth.DEPTH_1_BIT,
            output=create_output(sys.stdout),
            reserve_space_for_menu=6,
            interrupt_exception=Abandoned,
        )

    async def ask(self, state: str, draft: str = "") -> str:
        """What is typed, beginning with a draft. Raises `EOFError` at Ctrl-D, `Abandoned` at Ctrl-C."""
        # Signals are ours; at the prompt Ctrl-C is a key.
        return await self._session.prompt_async(self._head(state), default=draft, handle_sigint=False)

    def tell(self, text: str) -> None:
        """Above the line that is being typed."""
        self._telling = run_in_terminal(lambda: self._out.tell_now(text))

    def _head(self, state: str) -> str:
        return f"{self._target}={_STATES.get(state, '')}> "

    def _continuation(self, width: int, number: int, is_soft_wrap: int) -> AnyFormattedText:
        if is_soft_wrap:
            return ""
        above = "\n".join(self._session.default_buffer.text.split("\n")[:number]) + "\n"
        mark = f"{self._target}{open_in(above) or '-'}> "
        return mark.rjust(width)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @keys.add("enter", filter=has_completions & completion_is_selected)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.complete_state = None

    return keys

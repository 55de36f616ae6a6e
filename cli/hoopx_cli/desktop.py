"""Whether a browser can be opened where the person sits, and opening it without waiting for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread


def is_there(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """A screen of this machine, in front of this person: not over SSH, and on Unix a display must be named."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def open_page(url: str) -> None:
    """In a thread of its own, because some browsers return only when they are closed; none at all is no error."""
    Thread(target=_open, args=(url,), daemon=True).start()


def _open(url: str) -> None:
    import webbrowser

    with suppress(Exception):  # whatever fails here, the address stands on the terminal
        browser = webbrowser.get()
        # Browsers for the terminal (lynx, w3m) come last in the standard library's list; they would take it from us.
        if getattr(browser, "basename", "") not in ("www-browser", "links", "elinks", "lynx", "w3m"):
            browser.open(url)

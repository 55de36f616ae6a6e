"""Read names of identity providers as they stand on buttons, and in addresses of pages."""

from __future__ import annotations

import re

from hoopx_broker.daemon.problems import Wrong

MAX_NAME = 60  # it stands on a button


def button_name(text: str) -> str:
    """Raises `Wrong` for what does not fit there, or gives no address."""
    if len(text) > MAX_NAME or not text.isprintable():
        raise Wrong(f"is not a name of at most {MAX_NAME} printable characters", "it stands on the button of the page")
    if not address_of(text):
        raise Wrong("has no letter or digit of a URL", "put a word of a–z or 0–9 into it: its address is made of that")
    return text


def address_of(name: str) -> str:
    """The name in URLs: `Example Corp` is `example-corp`, `login.example.com` is `login-example-com`."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))

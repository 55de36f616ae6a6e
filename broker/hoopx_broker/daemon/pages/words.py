"""Texts of other people, times and numbers, as a page shows them: whatever comes in is escaped here."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from hoopx_broker.api.visible import visible, visible_prose
from hoopx_broker.terms.people import spoken

# What `visible` writes in the place of a character; the signs around it never stand for themselves there.
_SUSPECT = re.compile("\u2039[^\u203a]*\u203a")


def code(text: str) -> Markup:
    """A statement, a rule, the name of something: each character is what it seems."""
    return _marked(visible(text))


def prose(text: str) -> Markup:
    """What somebody wrote to others."""
    return _marked(visible_prose(text))


def person(user: str, on_behalf_of: str | None = None) -> Markup:
    return code(spoken(user, on_behalf_of))


def _marked(shown: str) -> Markup:
    escaped = str(escape(shown))
    return Markup(_SUSPECT.sub(lambda found: f"<mark>{found.group()}</mark>", escaped))


def moment(seconds: float) -> Markup:
    """A time of day, for whoever reads it anywhere."""
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%d %b %Y, %H:%M} UTC")


def span(seconds: float) -> str:
    """`1 h 30 min`, `45 s`: two units at most."""
    left = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}\u00a0{unit}")  # no line ends between them
    return "\u00a0".join(parts[:2]) or "0\u00a0s"


def ago(seconds: float) -> str:
    return "just now" if seconds < 60 else f"{span(seconds // 60 * 60)} ago"


def left(seconds: float) -> str:
    """How long something still takes: seconds count in the last minute alone."""
    return span(seconds // 60 * 60 if seconds >= 60 else seconds)


def several(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: tuple[str, ...]) -> Markup:
    """`a`, `b`, as code."""
    return Markup(", ").join(Markup("<code>{}</code>").format(code(name)) for name in names)

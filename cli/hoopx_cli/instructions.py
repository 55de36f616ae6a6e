"""What an agent is told of its connections: a short text, and a block of it in a file that is somebody else's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from hoopx_broker.api.messages import TargetView
from hoopx_broker.terms.errors import BadInput
from hoopx_cli.access import variable_of
from hoopx_cli.inert import inert
from hoopx_cli.own_files import OwnFiles

BEGIN, END = "<!-- hoopx:begin -->", "<!-- hoopx:end -->"
# A database may have hundreds of masked columns; what an agent reads costs it room.
MAX_COLUMNS = 30
_FILES = OwnFiles("give --instructions a file of your own, or `-`")


class Briefing(Struct, frozen=True):
    """Who acts for whom, and where. `idle` is how long an unused session lasts, as people say it."""

    agent: str
    human: str
    targets: Sequence[TargetView]
    idle: str


def text_of(briefing: Briefing) -> str:
    """Markdown without any secret: the passwords are in the environment only."""
    agent, human = _plain(briefing.agent), _plain(briefing.human)
    lines = [
        "# Databases, by hoopx",
        "",
        f"You are the agent `{agent}` and work on behalf of `{human}`. You may do what is allowed to both of you.",
        "Every statement is judged and recorded under both names.",
        "",
        *(line for target in briefing.targets for line in _target(target, is_only=len(briefing.targets) == 1)),
        "",
        "## How to work",
        "",
        *_connecting(briefing.targets),
        f"- A session opens with the first connection and ends {briefing.idle} after the last. If a connection is"
        " closed, connect again.",
        "- A connection or statement that needs approval waits until a person has agreed; a NOTICE says which request"
        f" it is. Tell `{human}` its id, and wait. Do not send it again, and do not look for another way.",
        "- Masked values come as placeholders. They are not the data: do not compute with them or write them back, and"
        " do not try to find them out.",
        "- `ERROR 42501: rule … forbids this statement` is final. The statement did not run; DETAIL says why and HINT"
        " what is possible instead. Do not rephrase it to get round the rule: say what you needed it for.",
        "- `FATAL 08006` or `57P03`: the database or the broker cannot be reached. Try again once, then tell.",
        "- Never ask anybody for a password, token or key, and never look for one on this machine.",
    ]
    return "\n".join(lines) + "\n"


def put(path: Path, text: str) -> None:
    """Into a new file of mode 0600, or in the place of the marked block in one that is there. Raises `BadInput`."""
    block = f"{BEGIN}\n{text}{END}\n"
    path = path.expanduser().absolute()
    if not os.path.lexists(path):
        _FILES.create(path, block)
        return
    found = _FILES.found(path)
    _FILES.replace(found, _with_block(path, _FILES.read(found), block))


def _target(target: TargetView, *, is_only: bool) -> list[str]:
    name, variable = _plain(target.name), variable_of(target.name)
    also = ", also `DATABASE_URL` and `PG*`" if is_only else ""
    lines = [f"## `{name}`", "", f"- URL: `${variable}`{also} (PostgreSQL, database `{_plain(target.database)}`)"]
    if target.access == "approval":
        people = " and ".join(f"{count} of {_plain(group)}" for group, count in sorted(target.approvers.items()))
        lines.append(f"- The first connection waits for approval by {people}.")
    if target.masked:
        shown = ", ".join(f"`{_plain(column)}`" for column in target.masked[:MAX_COLUMNS])
        more = f" and {len(target.masked) - MAX_COLUMNS} more" if len(target.masked) > MAX_COLUMNS else ""
        lines.append(f"- Masked: {shown}{more}.")
    return [*lines, ""]


def _connecting(targets: Sequence[TargetView]) -> list[str]:
    """Arguments can be read by every user of a machine, and `psql` takes a URL in no other way."""
    if len(targets) == 1:
        return ["- Connect with any PostgreSQL client: `psql` needs no arguments, drivers take the URL."]
    variable = variable_of(targets[0].name)
    return [
        "- Connect with any PostgreSQL driver by the URL, which your program reads from the environment itself: it",
        "  holds a password of this command alone, and other users of the machine can read arguments. With `psql`:",
        f'  `u=${variable}; p=${{u#*//*:}}; PGPASSWORD=${{p%%@*}} psql "postgresql://hoopx@${{u#*@}}"`',
    ]


def _plain(text: str) -> str:
    """A name as part of a line: nothing that ends its quotes, the line, or means something to a terminal."""
    return inert(text).replace("`", "'").replace("<", "‹").replace(">", "›")[:200]


def _with_block(path: Path, text: str, block: str) -> str:
    """Whatever else stands in the file stays as it is. Raises `BadInput` where there is not exactly one block."""
    lines = text.splitlines(keepends=True)
    begins = [at for at, line in enumerate(lines) if line.strip() == BEGIN]
    ends = [at for at, line in enumerate(lines) if line.strip() == END]
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0]:
        message = f"`{path}` is there, and has not one block of hoopx to replace"
        raise BadInput(message, f"put the lines `{BEGIN}` and `{END}` where the block shall stand")
    return "".join([*lines[: begins[0]], block, *lines[ends[0] + 1 :]])

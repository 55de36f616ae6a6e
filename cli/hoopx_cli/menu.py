"""The root's page of help, made of plain strings: `hoopx --help` prints it before anything else is imported."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in `typing`, whose import would take longer than the page
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXAMPLE = "Example: hoopx connect prod-db"
PURPOSE = "Reach databases by just-in-time credentials: every statement judged, masked, recorded and provable."
OPTIONS = {
    "--version": "Print the version.",
    "--debug": "Show the trace of an error, without secrets.",
    "-h, --help": "Show this message and exit.",
}
# Longer lines are hard to read; shorter ones than these nobody reads anyway.
WIDEST, NARROWEST = 100, 20

# Name of the command -> the module that holds it, and its line in `hoopx --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("hoopx_cli.demo", "See it all at work on this machine."),
    "login": ("hoopx_cli.login", "Sign in by your identity provider."),
    "logout": ("hoopx_cli.login", "Sign out and forget the tokens."),
    "whoami": ("hoopx_cli.login", "Show as whom the broker knows you."),
    "accounts": ("hoopx_cli.accounts", "List who is logged in where, and switch."),
    "token": ("hoopx_cli.login", "Print a password for native clients of one target."),
    "ls": ("hoopx_cli.targets", "List the targets that you may see."),
    "show": ("hoopx_cli.targets", "Show one target and what is allowed there."),
    "connect": ("hoopx_cli.connect", "Open a session and a local socket for any client."),
    "status": ("hoopx_cli.background", "Show the sessions that are open in the background."),
    "disconnect": ("hoopx_cli.background", "End sessions in the background."),
    "config": ("hoopx_cli.config", "Save connections in files of psql's, and take them out again."),
    "exec": ("hoopx_cli.exec", "Run a command with sessions to one or more targets."),
    "credentials": ("hoopx_cli.credentials", "Print the keys of an open AWS session, for AWS's own tools."),
    "sql": ("hoopx_cli.sql", "Run SQL without a database client."),
    "agent": ("hoopx_cli.agent", "Run a command as an agent on your behalf."),
    "classify": ("hoopx_cli.classify", "Propose which columns of a target hold personal data."),
    "request": ("hoopx_cli.requests", "Ask for approval of a session."),
    "requests": ("hoopx_cli.requests", "List, show, await, cancel and review requests."),
    "approve": ("hoopx_cli.approvals", "Agree to a request, or watch what waits for you."),
    "deny": ("hoopx_cli.approvals", "Refuse a request."),
    "sessions": ("hoopx_cli.sessions", "Search, replay, prove and end sessions."),
    "leases": ("hoopx_cli.leases", "List leases, and revoke them in an emergency."),
    "audit": ("hoopx_cli.audit", "Read what happened, prove it, and keep it."),
    "policy": ("hoopx_cli.policy", "Check, test and explain policies."),
    "admin": ("hoopx_cli.admin", "Shut users out, and let them in again."),
    "broker": ("hoopx_cli.broker", "Run the service."),
    "doctor": ("hoopx_cli.doctor.command", "Look at what commands need, and how to mend it."),
    "completion": ("hoopx_cli.completion", "Print the completion script of a shell."),
}


def page(columns: int) -> str:
    """Help for a terminal of so many columns."""
    return "\n".join(_lines(columns)) + "\n"


def room() -> int:
    """How many columns there are for text: those of the terminal that reads, or as COLUMNS says."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 80


def _lines(columns: int) -> Iterator[str]:
    yield from (EXAMPLE, "", "Usage: hoopx [OPTIONS] COMMAND [ARGS]...", "")
    yield from _broken(PURPOSE, "  ", columns)
    yield from ("", "Options:")
    yield from _listed(list(OPTIONS.items()), columns)
    yield from ("", "Commands:")
    yield from _listed([(name, summary) for name, (_, summary) in COMMANDS.items()], columns)


def _listed(pairs: Sequence[tuple[str, str]], columns: int) -> Iterator[str]:
    """Names in one column, what they are in another."""
    margin = max(len(name) for name, _ in pairs) + 4
    for name, text in pairs:
        head, *rest = _broken(text, " " * margin, columns)
        yield f"  {name}".ljust(margin) + head.lstrip()
        yield from rest


def _broken(text: str, margin: str, columns: int) -> list[str]:
    """Between words, at the edge of the terminal."""
    edge = max(min(columns, WIDEST) - 2, len(margin) + NARROWEST)
    lines = [margin]
    for word in text.split():
        is_first = lines[-1] == margin
        if not is_first and len(lines[-1]) + 1 + len(word) > edge:
            lines.append(margin + word)
        else:
            lines[-1] += word if is_first else f" {word}"
    return lines

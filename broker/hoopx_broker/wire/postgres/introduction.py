"""What a native client says of itself in its start-up packet: who it is, where it wants to go, and what for."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.wire.postgres import hello, messages
from hoopx_broker.wire.postgres.hello import Unwelcome
from hoopx_broker.wire.postgres.messages import Startup

_PURPOSE = ("hoopx.reason", "hoopx.ticket")


class Introduction(Struct, frozen=True):
    """`startup` is the packet for the stream's engine, without what was for hoopx; `answer` is for the client."""

    user: str
    target: str
    reason: str
    ticket: str
    startup: bytes
    answer: bytes


def introduce(startup: Startup) -> Introduction:
    """Raises `Unwelcome` for what no session is opened for."""
    user = startup.parameters.get("user", "")
    if not user:
        raise Unwelcome("28000", "the start-up packet names no user", "connect as the user that `hoopx whoami` shows")
    target = startup.parameters.get("database", "") or user  # as PostgreSQL itself understands its lack
    said = hello.read(startup)
    purpose, settings = _divide(said.settings)
    packet = messages.startup(said.parameters | settings | {"user": user, "database": target}, said.speaks)
    return Introduction(
        user, target, purpose.get("hoopx.reason", ""), purpose.get("hoopx.ticket", ""), packet, hello.negotiation(said)
    )


def _divide(settings: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is for hoopx, and what is for the server, which does not tell upper case from lower in names either."""
    purpose: dict[str, str] = {}
    rest: dict[str, str] = {}
    for name, value in settings.items():
        known = name.lower()
        if not known.startswith(hello.OURS):
            rest[name] = value
        elif known not in _PURPOSE or known in purpose:
            raise Unwelcome("42704", "hoopx takes `hoopx.reason` and `hoopx.ticket` here, each once")
        else:
            purpose[known] = value
    return purpose, rest

"""Who wants to hear of what was committed to the state."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

import msgspec
import structlog

# Hears the message; None when something may have been missed: look again at everything that matters to you.
Heard = Callable[[str | None], None]

# PostgreSQL takes 8,000 bytes; what is told is an id, and the rows say the rest.
MAX_TOLD = 1_000

_log = structlog.get_logger()


class Notices:
    """Of one event loop: everything here happens in it."""

    def __init__(self) -> None:
        self._heard: dict[str, list[Heard]] = {}

    def subscribe(self, topic: str, heard: Heard) -> Callable[[], None]:
        """Gives what ends the subscription; that may be called more than once."""
        subscribers = self._heard.setdefault(topic, [])
        subscribers.append(heard)

        def leave() -> None:
            if heard in subscribers:
                subscribers.remove(heard)

        return leave

    def deliver(self, told: Iterable[tuple[str, str]]) -> None:
        for topic, message in told:
            for heard in tuple(self._heard.get(topic, ())):
                _hear(heard, topic, message)

    def look_again(self) -> None:
        """Something may have been told that nobody here has heard."""
        for topic, subscribers in tuple(self._heard.items()):
            for heard in tuple(subscribers):
                _hear(heard, topic, None)


def new_name() -> str:
    """By which a broker knows its own words among those of all."""
    return secrets.token_hex(6)


def wrapped(sender: str, topic: str, message: str) -> str:
    return msgspec.json.encode((sender, topic, message)).decode()


def unwrapped(text: str) -> tuple[str, str, str] | None:
    """Sender, topic and message; None for what no broker said."""
    try:
        return msgspec.json.decode(text, type=tuple[str, str, str])
    except msgspec.MsgspecError:
        return None


def check(topic: str, message: str) -> tuple[str, str]:
    """What may be told. Raises `ValueError`."""
    if len(topic) > 50 or len(message.encode()) > MAX_TOLD or "\0" in message:
        raise ValueError(f"what is told of `{topic[:50]}` is longer than {MAX_TOLD} bytes, or no text")
    return topic, message


def _hear(heard: Heard, topic: str, message: str | None) -> None:
    """One that fails must not keep the others from hearing."""
    try:
        heard(message)
    except Exception as error:
        _log.error("state.not_heard", topic=topic, error=type(error).__name__, exc_info=error)

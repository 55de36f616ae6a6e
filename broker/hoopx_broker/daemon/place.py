"""Where the broker can be reached: the socket that it listens at, and its URL."""

from __future__ import annotations

import socket

from msgspec import Struct

from hoopx_broker.daemon.seated import Seated
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.settings import BrokerConfig


class Place(Struct, frozen=True):
    """Known once the port is bound. A worker has no socket that listens."""

    listening: socket.socket | None
    public_url: str


def bind(settings: BrokerConfig) -> tuple[socket.socket, str]:
    """The socket, and the URL with the port that it got. Raises `BadInput`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except OSError as error:
        # `socket` adds the address in brackets, which stands here already.
        why = (error.strerror or str(error)).partition(" (")[0].lower()
        raise BadInput(
            f"cannot listen on {settings.host}:{settings.port}: {why}",
            "stop what listens there, or change `listen` in the configuration",
        ) from error
    port = listening.getsockname()[1]
    public = settings.public_url
    return listening, public.removesuffix(":0") + f":{port}" if public.endswith(":0") else public


def place_of(settings: BrokerConfig, seated: Seated | None) -> Place:
    if seated is not None:
        return Place(None, seated.public_url)
    return Place(*bind(settings))

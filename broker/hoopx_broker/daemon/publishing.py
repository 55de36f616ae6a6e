"""The log as anybody may fetch it over HTTP: checkpoint and hashes are public, the entries are for whom policy lets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hoopx_broker.evidence.log import Log
from hoopx_broker.session.services import Services
from hoopx_broker.terms.errors import Denied, Unknown
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow
from hoopx_broker.tlog.failures import BadTile
from hoopx_broker.tlog.tiles import Bundle, Tile, parse_path

_CHECKPOINT = {"cache-control": "no-cache", "access-control-allow-origin": "*"}
# What a tile is called says what it holds: it never changes.
_TILE = {"cache-control": "public, max-age=31536000, immutable", "access-control-allow-origin": "*"}
_ENTRIES = {"cache-control": "private, max-age=31536000, immutable"}

Identify = Callable[[Request], Awaitable[Principal]]


class Publishing:
    """`GET /log/checkpoint`, `/log/tile/<L>/<N>[.p/<W>]`, `/log/tile/entries/<N>[.p/<W>]`: C2SP tlog-tiles."""

    def __init__(self, log: Log, services: Services, identify: Identify) -> None:
        self._log = log
        self._services = services
        self._identify = identify

    def routes(self) -> list[Route]:
        return [
            Route("/log/checkpoint", self._checkpoint),
            Route("/log/tile/entries/{rest:path}", self._entries),
            Route("/log/tile/{rest:path}", self._tile),
        ]

    async def _checkpoint(self, _: Request) -> Response:
        note = await self._log.checkpoint()
        return Response(note.encode(), 200, _CHECKPOINT, media_type="text/plain; charset=utf-8")

    async def _tile(self, request: Request) -> Response:
        place = _place(request)
        if not isinstance(place, Tile):
            raise _nothing(request)
        return Response(await self._log.content(place), 200, _TILE, media_type="application/octet-stream")

    async def _entries(self, request: Request) -> Response:
        who = await self._identify(request)
        if not isinstance(self._services.judge().may_view_log(who), Allow):
            raise Denied("you may not read the entries of the log", "ask whoever may, for instance `auditors`")
        place = _place(request)
        if not isinstance(place, Bundle):
            raise _nothing(request)
        return Response(await self._log.content(place), 200, _ENTRIES, media_type="application/octet-stream")


def _place(request: Request) -> Tile | Bundle:
    try:
        return parse_path(request.url.path.removeprefix("/log/"))
    except BadTile:
        raise _nothing(request) from None


def _nothing(request: Request) -> Unknown:
    return Unknown(f"the log has no `{request.url.path[:100]}`", "`/log/checkpoint` says how large it is")

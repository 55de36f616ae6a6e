"""The Unix socket by which `hoopx credentials` asks the hoopx that holds a session: only its own user is answered."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from hoopx_broker.terms.errors import BackendFailed
from hoopx_cli import sockets
from hoopx_cli.key_ring import Newest
from hoopx_cli.settings import Settings

MAX_ANSWER = 65_536  # a session token is some hundred bytes, and may grow to a few thousand
ANSWER_SECONDS = 5.0


def place(settings: Settings, target: str) -> Path:
    """Where the socket of this target is: in HOOPX_HOME, or where that path is too long, in a folder of the user's."""
    name = hashlib.sha256(f"{settings.broker} {target}".encode()).hexdigest()[:16]
    path = settings.home / "run" / name
    if len(os.fsencode(path)) <= sockets.MAX_PATH:
        return path
    home = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hoopx-{os.geteuid()}" / f"{home}{name}"


@asynccontextmanager
async def serving(settings: Settings, target: str, newest: Newest) -> AsyncIterator[Path]:
    """Answer until the end of the block. Raises `BadInput` where another hoopx does already."""
    path = place(settings, target)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listening = sockets.bound(path)
    made = path.lstat().st_ino

    async def attend(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        keys = newest()
        if keys is not None and sockets.peer_uid(connection) == os.geteuid():
            writer.write(msgspec.json.encode(keys.process_document()))
        writer.close()

    try:
        async with await asyncio.start_unix_server(attend, sock=listening):
            yield path
    finally:
        listening.close()
        with suppress(FileNotFoundError):
            if path.lstat().st_ino == made:
                path.unlink()


def ask(settings: Settings, target: str) -> dict[str, object]:
    """The keys as a `credential_process` prints them. Raises `BackendFailed` where no session of this user is open."""
    nobody = BackendFailed(
        f"no session with `{target}` is open on this machine", f"run `hoopx connect {target}` in another terminal"
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(ANSWER_SECONDS)
            asking.connect(str(place(settings, target)))
            if sockets.peer_uid(asking) != os.geteuid():
                raise nobody
            answer = _whole(asking)
        return msgspec.json.decode(answer, type=dict[str, object])
    except (OSError, msgspec.DecodeError):
        raise nobody from None


def _whole(asking: socket.socket) -> bytes:
    found = b""
    while len(found) <= MAX_ANSWER and (part := asking.recv(4096)):
        found += part
    return found

"""Ask one witness to cosign a checkpoint: verified, without redirects, bounded in size and time."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.tlog.cosignatures import Cosigned
from hoopx_broker.tlog.failures import BadNote
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tlog.witnessing import ADD_CHECKPOINT, add_checkpoint, cosignature_in, known_size

SECONDS = 10.0  # for the whole call; a witness writes one row and signs once
MAX_ANSWER = 64 * 1024  # some signature lines, each of at most 5 kB
MAX_AHEAD = 300  # seconds by which clocks may differ; the specification lets cosignatures of the future be refused

_SHOWN = 100  # characters of what a witness says to a refusal


class NotCosigned(BackendFailed):
    """The witness did not cosign; it is asked again."""


class Disputed(BackendFailed):
    """The witness has seen another log by this name than the one that it was shown."""


class Gave(Struct, frozen=True):
    """The signature line of a cosignature that holds, and what it says."""

    line: str
    cosigned: Cosigned


class Knows(Struct, frozen=True):
    """The witness has seen `size` leaves of the log, and wants a proof from there."""

    size: int


class Witness:
    """One witness. Connections are kept; whoever made it closes it."""

    def __init__(self, key: Verifier, url: str, ca: Path | None, clock: Callable[[], float]) -> None:
        self.key = key
        self._url = f"{url.rstrip('/')}/{ADD_CHECKPOINT}"
        self._where = urlsplit(url).netloc
        self._clock = clock
        # A proxy of the environment is not asked for loopback.
        self._client = httpx2.AsyncClient(
            verify=_context(url, ca),
            timeout=SECONDS,
            follow_redirects=False,
            trust_env=not _is_loopback(urlsplit(url).hostname or ""),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=30.0),
        )

    async def ask(self, old: int, proof: Sequence[bytes], note: str) -> Gave | Knows:
        """Raises `NotCosigned`, and `Disputed` where the proof from `old` leaves on does not convince it."""
        status, kind, body = await self._post(add_checkpoint(old, proof, note))
        try:
            if status == 200:
                return self._checked(body, note)
            if status == 409:
                return Knows(known_size(kind, body))
        except BadNote as error:
            raise NotCosigned(f"{self._said()} what is not to be used: {error.message}", _LOOK) from None
        raise self._refusal(status, body, note.partition("\n")[0])

    async def close(self) -> None:
        await self._client.aclose()

    def _checked(self, body: bytes, note: str) -> Gave:
        line, cosigned = cosignature_in(body, note, self.key)
        ahead = cosigned.at - self._clock()
        if ahead > MAX_AHEAD:
            raise BadNote(f"the cosignature is of a time {ahead:.0f} s from now")
        return Gave(line, cosigned)

    async def _post(self, body: bytes) -> tuple[int, str, bytes]:
        """Status, type and body of the answer."""
        headers = {"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"}
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                held = bytearray()
                async for chunk in answer.aiter_raw():
                    held += chunk
                    if len(held) > MAX_ANSWER:
                        raise NotCosigned(f"{self._said()} more than {MAX_ANSWER} bytes", _LOOK)
                return answer.status_code, answer.headers.get("content-type", ""), bytes(held)
        except TimeoutError:
            raise NotCosigned(f"{self._named()} did not answer within {SECONDS:.0f} s", _REACH) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise NotCosigned(f"{self._named()} cannot be reached: {_kind_of(error)}", _REACH) from None

    def _refusal(self, status: int, body: bytes, origin: str) -> BackendFailed:
        match status:
            case 403:
                return NotCosigned(
                    f"{self._named()} does not know the key that signs the log `{origin}`",
                    "give its operator what `hoopx broker keys` prints, also after each rotation",
                )
            case 404:
                return NotCosigned(
                    f"{self._named()} does not know the log `{origin}`, or there is no witness at its `url`",
                    "give its operator the name of the log and what `hoopx broker keys` prints",
                )
            case 422:
                return Disputed(f"{self._named()} says that the log `{origin}` does not go on from what it has seen")
            case _ if 300 <= status < 400:
                return NotCosigned(f"{self._named()} sends elsewhere, where hoopx does not follow", _LOOK)
            case _:
                return NotCosigned(f"{self._said()} {status}{_shown(body)}", "it is asked again; look at the witness")

    def _named(self) -> str:
        return f"the witness `{self.key.name}` at `{self._where}`"

    def _said(self) -> str:
        return f"{self._named()} answered"


def _context(url: str, ca: Path | None) -> ssl.SSLContext:
    """Plain http, which is for this machine only, needs nobody's authorities: a context without any believes nobody."""
    if url.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cafile=str(ca) if ca else None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _kind_of(error: BaseException) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not to be believed"
    return type(error).__name__


def _shown(body: bytes) -> str:
    text = body[: 4 * _SHOWN].decode("utf-8", "replace").strip()[:_SHOWN]
    return f": `{text}`" if text and text.isprintable() else ""


_LOOK = "look at its `url` and `key` in `evidence.witnesses`, and ask its operator"
_REACH = "it is asked again; look at its `url`, its `ca` and the network"

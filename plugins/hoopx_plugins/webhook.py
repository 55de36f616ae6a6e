"""Tell a web service, signed as Standard Webhooks 1.0 has it (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from hoopx_broker.terms.notices import Gone, Notice, NotTold
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.notice_body import body_of
from hoopx_plugins.notice_http import Line, check_url, is_loopback

_SHARED, _PRIVATE = "whsec_", "whsk_"
MIN_KEY, MAX_KEY = 24, 64  # bytes of a shared secret, by the standard
MAX_SECRETS = 4  # while one takes another's place there are two

Sign = Callable[[bytes], str]


class WebhookOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to, and by which keys: each signs, so that a new one is known before the old one goes.

    A secret is `whsec_` and base64 of 24 to 64 bytes that both sides know, or `whsk_` and base64 of an Ed25519 key
    whose public half is with the receiver. `ca` are the authorities to believe; the system's where it is not said.
    """

    url: Secret
    secrets: tuple[Secret, ...]
    ca: Path | None = None

    def __post_init__(self) -> None:
        check_url(self.url)
        if not 1 <= len(self.secrets) <= MAX_SECRETS:
            raise ValueError(f"`secrets` must hold 1 to {MAX_SECRETS} keys; make one with `openssl rand -base64 32`")
        for secret in self.secrets:
            signer(secret)


class WebhookNotifier:
    """`clock` gives seconds since the Unix epoch: each try is signed with its own time."""

    Options: ClassVar[type[WebhookOptions]] = WebhookOptions

    def __init__(self, name: str, options: WebhookOptions, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._options = options
        self._clock = clock
        self._signers = [signer(secret) for secret in options.secrets]
        host = urlsplit(options.url.reveal()).hostname or ""
        self._line = Line(name, options.ca, to_itself=is_loopback(host))

    async def tell(self, notice: Notice, thread: dict[str, str]) -> str:
        body = body_of(notice)
        answer = await self._line.post(self._options.url, body, self._headers(notice.id, body), reads=0)
        if 200 <= answer.status < 300:
            return ""
        why = f"`{self._name}` answered {answer.status}"
        if answer.status == 410:
            raise Gone(f"{why}: it wants nothing any more", "take it out of `notify`, or set it up again over there")
        if 300 <= answer.status < 400:
            raise NotTold(f"{why}: redirects are not followed", "write the address that it leads to as `url`")
        raise NotTold(why, "look into its own log", after=answer.after)

    async def close(self) -> None:
        await self._line.close()

    def _headers(self, notice: str, body: bytes) -> dict[str, str]:
        at = str(int(self._clock()))
        signed = b".".join((notice.encode(), at.encode(), body))
        return {
            "content-type": "application/json",
            "user-agent": "hoopx",
            "webhook-id": notice,
            "webhook-timestamp": at,
            "webhook-signature": " ".join(sign(signed) for sign in self._signers),
        }


def signer(secret: Secret) -> Sign:
    """Raises `ValueError` that does not repeat the secret."""
    text = secret.reveal()
    if text.startswith(_SHARED):
        return _by_shared(_decoded(text.removeprefix(_SHARED)))
    if text.startswith(_PRIVATE):
        return _by_private(_decoded(text.removeprefix(_PRIVATE)))
    raise ValueError("`secrets` holds one that begins neither with `whsec_` nor with `whsk_`")


def _by_shared(key: bytes) -> Sign:
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise ValueError(f"`secrets` holds a `whsec_` of {len(key)} bytes; {MIN_KEY} to {MAX_KEY} are the standard's")
    return lambda signed: "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _by_private(key: bytes) -> Sign:
    if len(key) not in (32, 64):  # the seed, or the seed with the public key behind it as libsodium writes it
        raise ValueError("`secrets` holds a `whsk_` that is no Ed25519 key")
    private = Ed25519PrivateKey.from_private_bytes(key[:32])
    return lambda signed: "v1a," + base64.b64encode(private.sign(signed)).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("`secrets` holds one that is not base64 behind its prefix") from None

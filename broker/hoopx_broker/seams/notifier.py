"""The seam to whoever is told of requests: a webhook, a chat, a mail server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from msgspec import Struct

from hoopx_broker.terms.notices import Notice


class Notifier(Protocol):
    """A plugin of the entry point group `hoopx.notifiers`, found by `kind` in an entry of `notify`.

    `Options` is a frozen msgspec Struct with `forbid_unknown_fields`: the keys that an entry may hold beside those that
    all have (`name`, `kind`, `events`, `kinds`, `groups`, `targets`, `labels`, `give_up`). Fields of type `Secret` or
    `tuple[Secret, ...]` are given already resolved from their references, fields of type `Path` as absolute paths of
    readable files; a `ValueError` of its `__post_init__` is told to whoever wrote the file.
    """

    Options: ClassVar[type[Any]]

    def __init__(self, name: str, options: Any) -> None: ...

    async def tell(self, notice: Notice, thread: dict[str, str]) -> str:
        """Tell it once; gives what went wrong with a part of it, empty where nothing did. Raises `NotTold`.

        It is cancelled after `TRY_SECONDS` and called again later with the same `notice.id`. Notices of one request
        come one after another, in order. `thread` is what is remembered of this request: what is put into it is kept,
        also where this raises. Nothing of the notifier's secrets may stand in an error or in `thread`.
        """

    async def close(self) -> None:
        """Let go of connections; nothing is told any more."""


Verdict = Literal["approve", "deny"]


class Account(Struct, frozen=True):
    """Somebody at the receiver, by the receiver's own name of them: `id` for machines, `shown` for people."""

    id: str
    shown: str = ""


class Clerk(Protocol):
    """What a notifier that people answer through may ask of the broker, in the name of an account of theirs."""

    async def look(self, account: Account, request: str) -> str:
        """The target of a request that this account could vote on now. Raises a `HoopxError` that says why not."""

    async def vote(self, account: Account, request: str, verdict: Verdict, comment: str) -> str:
        """Vote as whoever the account is linked to; gives the state of the request. Raises as `look` does."""

    async def is_fresh(self, call: str, seconds: float) -> bool:
        """Whether a call of this name was never heard before; names are kept for so long."""

    def link_of(self, request: str) -> str:
        """The page of the request."""

    async def invite(self, account: Account) -> str:
        """The page on which whoever has the account links it to the broker's name of them, good for ten minutes."""


class Call(Struct, frozen=True):
    """An HTTP call from the receiver. Names of `headers` are in lower case."""

    headers: Mapping[str, str]
    body: bytes


class Reply(Struct, frozen=True):
    """The answer to a `Call`."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain"


@runtime_checkable
class Hears(Protocol):
    """A notifier through which people answer: calls come to `POST /notify/{name}/{hears}`, by anybody at all."""

    hears: ClassVar[str]

    def is_open(self) -> bool:
        """Whether this one is set up to be answered through."""

    async def hear(self, call: Call, clerk: Clerk) -> Reply:
        """Answer a call. It proves by itself who made it."""

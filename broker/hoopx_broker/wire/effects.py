"""What a wire engine asks of the pump: it does no I/O itself."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from hoopx_broker.masking.plan import Plan
from hoopx_broker.terms.entries import Entry
from hoopx_broker.terms.facts import NOTHING, Touched
from hoopx_broker.terms.rulings import Allow


class Side(Enum):
    """The two peers of an engine."""

    CLIENT = "client"
    BACKEND = "backend"


class Send(Struct, frozen=True):
    """Bytes for one side, after every `Note` that came before is in the recording."""

    side: Side
    data: bytes


class Judge(Struct, frozen=True):
    """Ask for a ruling on `text`. The engine takes no further frame of the client before `on_ruling`.

    `executes` is false for what is only prepared: it may then wait for people when it is run, and they are asked about
    the `parameters` that it would run with, which are in the `formats` of Bind and of the `types` (oids, as far as they
    are known). `binds` where it is bound to them, before it is run: the server plans it then, and planning runs
    functions.
    """

    text: bytes
    executes: bool
    parameters: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    binds: bool = False


class FindFunction(Struct, frozen=True):
    """Ask which function has this oid. The engine takes no further frame of the client before `on_function`."""

    oid: int


class Passage(Struct, frozen=True):
    """A statement may pass: the ruling, the plan for its answer, and the names that it defines for later use.

    `runs` are the names that it runs by EXECUTE or FETCH. `shows_unmasked` where its answer may show what an approval
    alone reveals, and so must end with that. `is_pending` where it may be prepared, but people, or
    rules on values, are asked each time before it is run. `may_relex` where the server may read the texts after it in
    another way. `touched` is what it does.
    """

    allow: Allow
    plan: Plan
    defines: tuple[str, ...] = ()
    request: str | None = None
    runs: tuple[str, ...] = ()
    is_pending: bool = False
    may_relex: bool = False
    shows_unmasked: bool = False
    touched: Touched = NOTHING


class Note(Struct, frozen=True):
    """An entry that must be in the recording before any later `Send`."""

    entry: Entry


class StartTls(Struct, frozen=True):
    """Start TLS towards the backend; the engine goes on at `on_tls`."""


class Cancel(Struct, frozen=True):
    """The client asks, on a connection of its own, to cancel what runs under `key` (one that hoopx gave out)."""

    key: bytes


class Close(Struct, frozen=True):
    """Close both sides, after what was sent has gone out."""

    reason: str


Effect = Send | Judge | FindFunction | Note | StartTls | Cancel | Close

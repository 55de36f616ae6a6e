"""The entries of a recording, versions 1 and 2. `docs/recording-format.md` is their specification."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from hoopx_broker.terms.people import Principal

# How much of rows and COPY data a recording keeps: all of it, its SHA-256, or only how much it was.
Detail = Literal["full", "digest", "shape"]


class Opened(Struct, frozen=True, tag="opened", omit_defaults=True):
    """The first entry. Times are seconds since the Unix epoch.

    `region` and `account` are of AWS; `obligations` is what the rules that allowed it bind its credential to. With
    `glass` nobody was asked, by rules that let its user through and have it reviewed. `record` is how much of rows and
    COPY data is kept.
    """

    session: str
    principal: Principal
    target: str
    kind: str
    database: str
    peer: str
    policy: str
    broker: str
    opened_at: float
    expires_at: float
    rules: tuple[str, ...] = ()
    reason: str = ""
    ticket: str = ""
    request: str | None = None
    approved_by: tuple[str, ...] = ()
    lease: str = ""
    lease_source: str = ""
    backend_user: str = ""
    shadow: str = ""
    region: str = ""
    account: str = ""
    obligations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    glass: bool = False
    record: Detail = "full"


class StreamOpened(Struct, frozen=True, tag="stream-opened", omit_defaults=True):
    """A client connected; `parameters` are its start-up parameters."""

    stream: str
    parameters: dict[str, str] = field(default_factory=dict)


class Statement(Struct, frozen=True, tag="statement", omit_defaults=True):
    """A statement was judged. `n` counts within the stream; `ruling` is allow, deny or ask.

    `shadow` is what rules in shadow would have made of it, as ``deny by `x` ``; empty where they change nothing.
    `request` is the one whose approval was used for it. `effects` are the actions that policy was asked about, `tables`
    what they are done to, both sorted; nothing is known of what could not be read. `took_us` is how long the ruling was
    waited for, people included, in microseconds; a ruling that was remembered takes none.
    """

    stream: str
    n: int
    text: str
    ruling: str
    rules: tuple[str, ...] = ()
    reason: str = ""
    masked: tuple[str, ...] = ()
    request: str | None = None
    shadow: str = ""
    effects: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    took_us: int = 0


class Executed(Struct, frozen=True, tag="executed", omit_defaults=True):
    """A prepared statement (`statement` is its `n`) ran with these parameters, in the formats of Bind.

    `shadow`, `request` and `took_us` are as in `Statement`, with these parameters.
    """

    stream: str
    n: int
    statement: int
    parameters: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    shadow: str = ""
    request: str | None = None
    took_us: int = 0


class Columns(Struct, frozen=True, tag="columns", omit_defaults=True):
    """A result begins: the names, type oids and formats (0 text, 1 binary) of its columns, and which are masked."""

    stream: str
    n: int
    names: tuple[str, ...]
    types: tuple[int, ...]
    formats: tuple[int, ...]
    masked: tuple[int, ...] = ()


class Rows(Struct, frozen=True, tag="rows", omit_defaults=True):
    """Result rows as the client saw them: `count` whole DataRow messages of protocol 3, end to end.

    Where less is kept, `data` is empty, `length` is how many bytes it was, and `sha256` its digest, if that is kept.
    """

    stream: str
    n: int
    count: int
    data: bytes
    length: int = 0
    sha256: bytes = b""


class CopyData(Struct, frozen=True, tag="copy", omit_defaults=True):
    """COPY data as whole CopyData messages; `direction` is `in` (from the client) or `out`.

    `length` and `sha256` are as in `Rows`.
    """

    stream: str
    n: int
    direction: str
    data: bytes
    length: int = 0
    sha256: bytes = b""


class Terminal(Struct, frozen=True, tag="terminal", omit_defaults=True):
    """What went through a terminal. `event` is `o` (output: what its user saw), `i` (input) or `r` (its new size).

    `data` is as it came, in pieces that may part a character; of a size `<columns>x<rows>`, as asciicast has it.
    `n` counts the terminals of the stream.
    """

    stream: str
    n: int
    event: str
    data: bytes


class Finished(Struct, frozen=True, tag="finished", omit_defaults=True):
    """A statement ended; `tag` is the server's command tag, empty for an empty query or a suspended portal.

    `rows` came to the client as a result; `affected` is how many the tag counts: read, changed, copied.
    """

    stream: str
    n: int
    tag: str = ""
    rows: int = 0
    affected: int = 0


class Failed(Struct, frozen=True, tag="failed", omit_defaults=True):
    """A statement ended in an error, as the client saw it."""

    stream: str
    n: int
    severity: str
    code: str
    message: str


class Unmask(Struct, frozen=True, omit_defaults=True):
    """By an approved request, values of `classes` are shown raw until a time in seconds since the Unix epoch.

    `ended` says why they are masked again; it is empty where the unmasking begins.
    """

    request: str
    classes: tuple[str, ...]
    approved_by: tuple[str, ...] = ()
    until: float = 0
    ended: str = ""


class LeaseNote(Struct, frozen=True, omit_defaults=True):
    """What became of the session's lease; `handle` is how its source knows it, and never holds a secret.

    `event` is `issued`, `handed-out`, `renewed`, `not-renewed`, `revoked`, `queued` (to be revoked later) or `fades`
    (its source cannot call it back: it ends by itself). `probed`: the target was seen to refuse the login.
    """

    event: str
    lease: str
    source: str
    user: str = ""
    expires_at: float = 0
    handle: dict[str, str] = field(default_factory=dict)
    probed: bool = False
    why: str = ""


class Approval(Struct, frozen=True, omit_defaults=True):
    """What became of a request that this session depends on, or a statement of it. `kind` is the request's.

    `event` is `asked`, `approve` or `deny` (a vote), `broken-glass` (nobody was asked; `approvers` review it) or
    `extended`. `by` did it, at `at`. `until` is how long it waits, or when the session ends now. `statement` is all
    that would run, parameters included.
    """

    event: str
    request: str
    kind: str
    by: str = ""
    comment: str = ""
    at: float = 0
    until: float = 0
    approvers: dict[str, int] = field(default_factory=dict)
    statement: str = ""


class Notice(Struct, frozen=True, tag="notice", omit_defaults=True):
    """The server, or hoopx, told the client something outside a result.

    With an `unmask` or a `lease` it is about the whole session, and `stream` is empty; so it is with an `approval` that
    is not of a statement, and where its client was lost and came back.
    """

    stream: str
    severity: str
    code: str
    message: str
    unmask: Unmask | None = None
    lease: LeaseNote | None = None
    approval: Approval | None = None


class StreamClosed(Struct, frozen=True, tag="stream-closed", omit_defaults=True):
    stream: str
    reason: str = ""


class Ended(Struct, frozen=True, tag="ended", omit_defaults=True):
    """The last entry that tells of the session itself; only the seal follows."""

    reason: str
    ended_at: float


class Seal(Struct, frozen=True, tag="seal", omit_defaults=True):
    """The broker's signature over everything before: `note` is a C2SP signed note naming session, count and hash.

    `unfinished` is true when the broker found the recording without an end after a crash and sealed what was there.
    """

    note: str
    unfinished: bool = False


Entry = (
    Opened
    | StreamOpened
    | Statement
    | Executed
    | Columns
    | Rows
    | CopyData
    | Terminal
    | Finished
    | Failed
    | Notice
    | StreamClosed
    | Ended
    | Seal
)

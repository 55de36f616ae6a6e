"""Messages between CLI and broker. JSON; unknown fields are ignored, so that either side may be newer.

One WebSocket at `/v1/session` lives as long as its session: the CLI sends `Open`, the broker answers with `Waiting`
any number of times and then `Opened` or `Refusal`; `Keys` (of an AWS account), `Counts` and events follow until
`Ended`. Where it was lost, the CLI takes it up again at `/v1/session/resume` with the grant of `Opened` as its token,
within the grace of `Opened`: the broker says `Opened` again, and goes on.
Each client connection is a WebSocket at `/v1/stream` with the grant of `Opened` as its token, and carries the raw bytes
of the protocol. Each of them brings a proof of the key by which the session was opened (DPoP, RFC 9449).
"""

from __future__ import annotations

from msgspec import Struct, field

from hoopx_broker.terms.approvals import Conditions, Effects
from hoopx_broker.terms.audit import Event as Happened
from hoopx_broker.terms.errors import ExitCode, HoopxError


class Open(Struct, frozen=True, tag="open"):
    """Ask for a session. `duration` and `wait` (for people) are in seconds; 0 is the broker's default.

    With `break_glass`, where rules let one of the requester's groups, nobody is waited for: it is reviewed afterwards.
    `key` makes asking again the same ask. `grace` is for how many seconds the session is to stay where this WebSocket
    is lost without a `Hangup`; with `counts` the broker tells how much the session has done.
    """

    target: str
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    wait: int = 0
    request: str | None = None
    break_glass: bool = False
    key: str = ""
    grace: int = 0
    counts: bool = False


class Hangup(Struct, frozen=True, tag="hangup"):
    """The CLI is done: end the session now."""


class Renew(Struct, frozen=True, tag="renew"):
    """The CLI's token was renewed: the session goes on under it. `proof` is one for `GET` of `/v1/session`."""

    token: str
    scheme: str
    proof: str


class Waiting(Struct, frozen=True, tag="waiting"):
    """An approval is needed. `approvers` maps a group to how many of its people must agree, `link` is its page.

    `is_fresh`: it was filed for this session, so whoever does not want the session any more may take it back.
    """

    request: str
    approvers: dict[str, int]
    rules: tuple[str, ...]
    reason: str
    expires_at: float
    link: str = ""
    is_fresh: bool = False


class Opened(Struct, frozen=True, tag="opened"):
    """The session is open. `grant` is a secret: with the session's key it opens streams of it, and nothing else.

    `classified` has the classified columns with their class, `masked` those that are hidden: the first thousand each.
    The session stays for `grace` seconds where its WebSocket is lost.
    """

    session: str
    grant: str
    target: str
    kind: str
    database: str
    expires_at: float
    rules: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    classified: dict[str, str] = field(default_factory=dict)
    grace: int = 0


class Counts(Struct, frozen=True, tag="counts"):
    """How much the session has done, at most once a second and only where it changed, to whoever asked for it.

    `masked` counts results with masked columns; `waiting` is how many statements wait for people now.
    """

    statements: int = 0
    denied: int = 0
    masked: int = 0
    waiting: int = 0


class Keys(Struct, frozen=True, tag="keys"):
    """Keys for AWS, right after `Opened` and again whenever they were renewed. All but `access_key_id` is secret."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    region: str
    expires_at: float


class Event(Struct, frozen=True, tag="event"):
    """Something a person at the session wants to see: a denial, a held statement, a warning before the end.

    Where the session goes on longer than it was told before, `expires_at` is its end.
    """

    kind: str
    message: str
    stream: str = ""
    expires_at: float = 0


class Ended(Struct, frozen=True, tag="ended"):
    """The session is over, its lease revoked or queued for it; `fades_at` is when what nobody can call back ends."""

    reason: str
    revoked: bool = True
    fades_at: float = 0


class Refusal(Struct, frozen=True, tag="refusal"):
    """An error as the CLI shows it, with the exit code it leaves with."""

    message: str
    hint: str = ""
    exit_code: int = int(ExitCode.UNEXPECTED)

    @classmethod
    def of(cls, error: HoopxError) -> Refusal:
        return cls(error.message, error.hint, int(error.exit_code))


class SignIn(Struct, frozen=True):
    """How people sign in: an OIDC provider found by discovery at `issuer`."""

    issuer: str
    client_id: str
    audience: str
    scopes: tuple[str, ...]


class Jobs(Struct, frozen=True):
    """Whose jobs come in with a token of their own, and for which audience it must be."""

    issuer: str
    audience: str


class About(Struct, frozen=True):
    """`GET /v1/about`, the one call without a token. `evidence_key` is a C2SP signed-note verifier key.

    `agents` are those that have no credential of their own, and act on behalf of people only.
    """

    version: str
    evidence_key: str
    sign_in: tuple[SignIn, ...] = ()
    jobs: tuple[Jobs, ...] = ()
    agents: tuple[str, ...] = ()


class WhoAmI(Struct, frozen=True):
    """`their_groups` are those of the human on whose behalf an agent acts."""

    user: str
    kind: str
    groups: tuple[str, ...]
    issuer: str
    on_behalf_of: str | None = None
    token_expires_at: float = 0
    their_groups: tuple[str, ...] = ()


class PassFor(Struct, frozen=True):
    """`POST /v1/passes`: a password for native clients of one target."""

    target: str


class PassGiven(Struct, frozen=True):
    """`token` is a secret: it opens one session on `target` as `user`, until `expires_at`."""

    token: str
    user: str
    target: str
    expires_at: float


class Revoke(Struct, frozen=True):
    """`POST /v1/users/{user}/revoke`."""

    reason: str = ""


class RevokedView(Struct, frozen=True):
    """A user who is not let in, and how many of their sessions that ended."""

    user: str
    at: float
    by: str
    reason: str = ""
    sessions: int = 0


class LeaseView(Struct, frozen=True):
    """A lease in lists. `state` is pending, live, ending or ended; `user` has it, an agent `on_behalf_of` a human.

    `login` is what the target calls whoever uses it, `handle` by what the source knows it. While it is ending,
    `attempts` is how often it was tried, `last_error` what the last said, and `next_attempt` when it is tried again;
    `fades_at` is when it ends by itself, where its source cannot call it back. Times are 0 where there is none.
    """

    id: str
    target: str
    source: str
    user: str
    session: str
    state: str
    created_at: float
    expires_at: float
    ended_at: float = 0
    attempts: int = 0
    last_error: str = ""
    next_attempt: float = 0
    fades_at: float = 0
    on_behalf_of: str | None = None
    issuer: str = ""
    login: str = ""
    handle: dict[str, str] = field(default_factory=dict)


class RevokeLeases(Struct, frozen=True):
    """`POST /v1/leases/revoke`: these, or all that fit `target` and `user`; with `everything`, all there are."""

    leases: tuple[str, ...] = ()
    target: str = ""
    user: str = ""
    everything: bool = False
    reason: str = ""


class LeaseRevoked(Struct, frozen=True):
    """What became of a lease: `outcome` is `revoked` (confirmed by its source), `queued` or `denied`, and why."""

    id: str
    target: str
    user: str
    outcome: str
    why: str = ""
    session: str = ""
    on_behalf_of: str | None = None


class TargetView(Struct, frozen=True):
    """A target as one identity sees it: `access` is `allowed`, `approval` or `denied`.

    For an approval, `conditions` is what a request must fulfil beside having its approvers agree.
    """

    name: str
    kind: str
    access: str
    database: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    approvers: dict[str, int] = field(default_factory=dict)
    masked: tuple[str, ...] = ()
    reason: str = ""
    region: str = ""
    account: str = ""
    conditions: Conditions = Conditions()


class Ballot(Struct, frozen=True):
    """One vote: `verdict` is `approve` or `deny`."""

    approver: str
    verdict: str
    comment: str
    at: float


class RequestView(Struct, frozen=True):
    """An ask for approval. `state` is waiting, approved, denied, cancelled, expired or used.

    `kind` is session, statement, unmask or extension. To unmask is to see values of `classes` raw, until `expires_at`
    once it is approved, and it is expired afterwards. An extension lets `session` go on for `duration` seconds more.
    An agent asks `on_behalf_of` a human. `policy` is the version that asked, `link` the request's page.

    Of a statement, `statement` is all that would run, to the letter, `canonical` the same as its grammar reads it.
    With `glass` it went through at once, and `review` is open, accepted or objected by `reviews`.
    """

    id: str
    state: str
    kind: str
    target: str
    requester: str
    reason: str
    ticket: str
    duration: int
    rules: tuple[str, ...]
    approvers: dict[str, int]
    created_at: float
    expires_at: float
    statement: str = ""
    ballots: tuple[Ballot, ...] = ()
    classes: tuple[str, ...] = ()
    on_behalf_of: str | None = None
    policy: str = ""
    link: str = ""
    conditions: Conditions = Conditions()
    session: str = ""
    canonical: str = ""
    effects: Effects | None = None
    glass: bool = False
    review: str = ""
    reviews: tuple[Ballot, ...] = ()


class Listed(Struct, frozen=True):
    """`GET /v1/requests`: those that fit, the newest first. `cursor` is the number of what happened last.

    With `wait` and `since` it is answered as soon as something happened after that number and changed the list.
    """

    requests: tuple[RequestView, ...]
    cursor: int = 0


class AskFor(Struct, frozen=True):
    """`POST /v1/requests`: for a session. `key` makes asking again the same ask, whatever became of it."""

    target: str
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    wait: int = 0
    key: str = ""
    break_glass: bool = False


class AskToExtend(Struct, frozen=True):
    """`POST /v1/requests/extension`: to let an open session go on for `duration` seconds beyond its end."""

    session: str
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    wait: int = 0
    key: str = ""


class AskToUnmask(Struct, frozen=True):
    """`POST /v1/requests/unmask`: to see values of `classes` raw for `duration` seconds from the approval on."""

    target: str
    classes: tuple[str, ...]
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    wait: int = 0
    key: str = ""
    break_glass: bool = False


class Vote(Struct, frozen=True):
    """`POST /v1/requests/{id}/approve` and `…/deny`."""

    comment: str = ""


class Review(Struct, frozen=True):
    """`POST /v1/requests/{id}/review`: a word on what went through by breaking the glass, `accept` or `object`."""

    verdict: str
    comment: str = ""


class Past(Struct, frozen=True):
    """`GET /v1/requests/{id}/past`: what its requester did lately, for those who may decide; the newest first."""

    requests: tuple[RequestView, ...] = ()
    sessions: tuple[SessionView, ...] = ()


class Unmasked(Struct, frozen=True):
    """What a session saw raw by an approved request. `ended_at` is 0 while it does."""

    request: str
    classes: tuple[str, ...]
    began_at: float
    ended_at: float = 0


class SessionsFound(Struct, frozen=True):
    """A page of sessions, the newest first. `next` asks for what comes after it; empty where nothing does.

    `unsearched` counts sessions that may be meant too and could not be looked into, by why: `encrypted`, `elsewhere`
    (their recordings are at another broker), `unreadable`, `slow`. The first page counts those that are encrypted.
    """

    sessions: tuple[SessionView, ...]
    next: str = ""
    unsearched: dict[str, int] = {}


class RecordingView(Struct, frozen=True):
    """Where the recording of a session is that is over, and how long it stays.

    `state` is `local` (in the broker's own directory), `waiting` (for the `store`), `stored`, `deleting` or `deleted`.
    It is kept by the class `retention` until `kept_until`, 0 for good, and longer while it is `held`. `error` is what
    went wrong last. Times are 0 where there is none.
    """

    state: str
    store: str = ""
    version: str = ""
    bytes: int = 0
    sha256: str = ""
    retention: str = ""
    kept_until: float = 0
    held: bool = False
    stored_at: float = 0
    deleted_at: float = 0
    deleted_by: str = ""
    error: str = ""


class HoldFor(Struct, frozen=True):
    """`POST /v1/audit/holds`: keep the recording of this session, whatever its time, until it is released."""

    session: str
    reason: str


class Release(Struct, frozen=True):
    """`POST /v1/audit/holds/{id}/release`."""

    reason: str


class HoldView(Struct, frozen=True):
    """A hold on the recording of a session. Released ones stay listed; `released_at` is 0 while it is in force."""

    id: str
    session: str
    target: str
    reason: str
    held_by: str
    held_at: float
    released_by: str = ""
    released_at: float = 0
    release_reason: str = ""


class Gc(Struct, frozen=True):
    """`POST /v1/audit/gc`: delete what is over its time; with `dry_run`, only say what would be.

    Goes on behind `after`, which is the `next` of the answer before.
    """

    dry_run: bool = False
    after: str = ""


class Collected(Struct, frozen=True):
    """A recording that is over its time: `outcome` is `deleted`, `would-delete` or `kept`, and `why`."""

    session: str
    target: str
    outcome: str
    retention: str
    sealed_at: float
    over_since: float
    bytes: int = 0
    why: str = ""


class Collection(Struct, frozen=True):
    """What was looked at: those over their time one by one, and how many are not. `next` is empty at the end."""

    recordings: tuple[Collected, ...]
    not_yet: int
    next: str = ""


class SessionView(Struct, frozen=True):
    """A session in lists. `state` is open, ended or unfinished; an agent has it `on_behalf_of` a human.

    `expires_at` is when it ends at the latest, or would have. Lists do not say where its `recording` is.
    """

    id: str
    user: str
    target: str
    state: str
    opened_at: float
    ended_at: float = 0
    reason: str = ""
    ticket: str = ""
    statements: int = 0
    denied: int = 0
    end: str = ""
    unmasked: tuple[Unmasked, ...] = ()
    on_behalf_of: str | None = None
    expires_at: float = 0
    recording: RecordingView | None = None


class EventView(Struct, frozen=True):
    """Something that happened at the broker. `leaf` is its index in the log, None while it waits to be put there."""

    leaf: int | None
    event: Happened


UNPROVED = "Hoopx-Unproved"  # header of `GET /v1/sessions/ID/evidence`: why there is no proof, percent-encoded


class EventsListed(Struct, frozen=True):
    """`GET /v1/events`: the newest last. Ask on `after` the number `settled`, and with `known` for what is newer."""

    events: tuple[EventView, ...]
    settled: int = 0
    known: int = 0

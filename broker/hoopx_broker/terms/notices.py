"""What is told of a request to those who are not asking the broker: by webhook, in a chat, by mail."""

from __future__ import annotations

from msgspec import Struct, field

from hoopx_broker.terms.errors import BackendFailed, Unauthenticated


class Said(Struct, frozen=True):
    """A vote, or a word of a review, as told: `verdict` is approve, deny, accept or object."""

    by: str
    verdict: str
    comment: str = ""
    at: float = 0


class Notice(Struct, frozen=True):
    """One happening to a request, told to one notifier. Times are in seconds since the Unix epoch.

    `id` is the same at each try, so that a receiver can drop what it has. The texts of people (`reason`, `ticket`,
    `comment`) are one line each, without a character that an eye would miss or a terminal obey; whatever the receiver
    makes of markup is for the notifier to take away. `statement` is in its normal form: `$1` stands where a value
    stood, and it is empty where that form cannot be had. `state`, `votes` and `reviews` are as they were then.
    """

    id: str
    event: str
    at: float
    request: str
    kind: str
    target: str
    requester: str
    state: str
    link: str
    by: str = ""
    comment: str = ""
    on_behalf_of: str | None = None
    reason: str = ""
    ticket: str = ""
    duration: int = 0
    expires_at: float = 0
    session: str = ""
    classes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    approvers: dict[str, int] = field(default_factory=dict)
    reviewers: dict[str, int] = field(default_factory=dict)
    votes: tuple[Said, ...] = ()
    reviews: tuple[Said, ...] = ()
    statement: str = ""
    actions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    glass: bool = False
    review: str = ""


class NotTold(BackendFailed):
    """The receiver did not take it; it is tried again, not before `after` seconds where the receiver said so."""

    def __init__(self, message: str, hint: str = "", *, after: float = 0) -> None:
        super().__init__(message, hint)
        self.after = after


class NotWanted(NotTold):
    """The receiver will never take this one: trying again is of no use."""


class Gone(NotWanted):
    """The receiver wants nothing any more, from nobody's fault: what comes later is not offered to it either."""


class NotLinked(Unauthenticated):
    """An account at a receiver is nobody to the broker, or was linked too long ago: they sign in first."""

"""Ask the broker: one HTTPS call at a time, by the standard library alone because commands must start fast."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import (
    UNPROVED,
    About,
    AskFor,
    AskToExtend,
    AskToUnmask,
    Collection,
    EventsListed,
    Gc,
    HoldFor,
    HoldView,
    LeaseRevoked,
    LeaseView,
    Listed,
    PassFor,
    PassGiven,
    Past,
    Release,
    RequestView,
    Review,
    Revoke,
    RevokedView,
    RevokeLeases,
    SessionsFound,
    SessionView,
    TargetView,
    Vote,
    WhoAmI,
)
from hoopx_broker.terms.errors import HoopxError, Unreachable
from hoopx_cli import trust
from hoopx_cli.refusals import error_in
from hoopx_cli.settings import Settings

if TYPE_CHECKING:
    from hoopx_cli.credential import Credential

T = TypeVar("T")

# Long enough for a broker that asks a slow database first, short enough for a person to wait for.
TIMEOUT_SECONDS = 30
# Lists are limited by the broker; an answer beyond this is not one of ours and would only eat memory.
MAX_ANSWER = 16 * 1024 * 1024
# A long poll ends by itself after this, before proxies on the way lose patience.
LONGEST_POLL_SECONDS = 25
_CHUNK = 256 * 1024
_PAGE = 500  # sessions that the broker gives at once
# Where the issuer inside the broker is.
ISSUER = "/oidc"


class _Targets(Struct, frozen=True):
    targets: list[TargetView]


class _Revoked(Struct, frozen=True):
    revoked: list[RevokedView]


class _Leases(Struct, frozen=True):
    leases: list[LeaseView]


class _LeasesRevoked(Struct, frozen=True):
    leases: list[LeaseRevoked]


class _Holds(Struct, frozen=True):
    holds: list[HoldView]


class Api:
    """The broker's API as one identity. `credential` is asked for when a call needs it."""

    def __init__(self, settings: Settings, tls: ssl.SSLContext, credential: Callable[[], Credential]) -> None:
        self._settings = settings
        self._tls = tls
        self._credential = credential

    def about(self) -> About:
        return self._ask("GET", "/v1/about", About, signed=False)

    def whoami(self) -> WhoAmI:
        return self._ask("GET", "/v1/whoami", WhoAmI)

    def give_pass(self, target: str) -> PassGiven:
        return self._ask("POST", "/v1/passes", PassGiven, PassFor(target))

    def revoke(self, user: str, reason: str) -> RevokedView:
        return self._ask("POST", f"/v1/users/{quote(user, safe='')}/revoke", RevokedView, Revoke(reason))

    def restore(self, user: str) -> RevokedView:
        return self._ask("POST", f"/v1/users/{quote(user, safe='')}/restore", RevokedView)

    def revoked(self) -> list[RevokedView]:
        return self._ask("GET", "/v1/users/revoked", _Revoked).revoked

    def targets(self) -> list[TargetView]:
        return self._ask("GET", "/v1/targets", _Targets).targets

    def target(self, name: str) -> TargetView:
        return self._ask("GET", f"/v1/targets/{quote(name, safe='')}", TargetView)

    def ask(self, order: AskFor) -> RequestView:
        return self._ask("POST", "/v1/requests", RequestView, order)

    def ask_to_unmask(self, order: AskToUnmask) -> RequestView:
        return self._ask("POST", "/v1/requests/unmask", RequestView, order)

    def ask_to_extend(self, order: AskToExtend) -> RequestView:
        return self._ask("POST", "/v1/requests/extension", RequestView, order)

    def requests(self, **wanted: str) -> list[RequestView]:
        """`wanted`: state, review, target, requester, mine and to_decide (`true`), and limit."""
        return list(self._ask("GET", "/v1/requests" + _query(**wanted), Listed).requests)

    def to_decide(self, since: int | None = None, wait: int = 0) -> Listed:
        """What waits for this identity's vote; with `since` when that has changed, or after so many seconds.

        Of statements only the beginning: whatever is looked at is asked for by its id.
        """
        until = {"since": str(since), "wait": str(min(wait, LONGEST_POLL_SECONDS))} if since is not None else {}
        return self._ask("GET", "/v1/requests" + _query(to_decide="true", brief="true", limit="1000", **until), Listed)

    def past(self, id_: str) -> Past:
        """What its requester did lately."""
        return self._ask("GET", f"/v1/requests/{quote(id_, safe='')}/past", Past)

    def review(self, id_: str, verdict: str, comment: str) -> RequestView:
        """`verdict` is accept or object."""
        return self._ask("POST", f"/v1/requests/{quote(id_, safe='')}/review", RequestView, Review(verdict, comment))

    def request(self, id_: str, wait: int = 0) -> RequestView:
        """The request; with `wait`, as soon as it changes or after so many seconds (at most a long poll's length)."""
        seconds = min(wait, LONGEST_POLL_SECONDS)
        path = f"/v1/requests/{quote(id_, safe='')}" + _query(wait=str(seconds) if seconds else "")
        return self._ask("GET", path, RequestView)

    def vote(self, id_: str, verdict: str, comment: str) -> RequestView:
        """`verdict` is approve, deny or cancel."""
        return self._ask("POST", f"/v1/requests/{quote(id_, safe='')}/{verdict}", RequestView, Vote(comment))

    def sessions(self, limit: int, **wanted: str) -> SessionsFound:
        """At most `limit`, asked for page by page. `wanted` are the filters of `GET /v1/sessions`, empty ones left out.

        What could not be searched is counted over all pages.
        """
        found: list[SessionView] = []
        unsearched: dict[str, int] = {}
        after = ""
        while True:
            query = _query(**wanted, limit=str(min(limit - len(found), _PAGE)), after=after)
            page = self._ask("GET", "/v1/sessions" + query, SessionsFound)
            found += page.sessions
            for why, number in page.unsearched.items():
                unsearched[why] = unsearched.get(why, 0) + number
            after = page.next
            if not after or len(found) >= limit:
                return SessionsFound(tuple(found), after, unsearched)

    def session(self, id_: str) -> SessionView:
        return self._ask("GET", f"/v1/sessions/{quote(id_, safe='')}", SessionView)

    def kill(self, id_: str) -> None:
        self._ask("POST", f"/v1/sessions/{quote(id_, safe='')}/kill", object)

    def recording(self, id_: str, sink: Callable[[bytes], object], how: str = "") -> None:
        """Pass the recording file on, piece by piece: it may be larger than memory. `how` is what it is read for."""
        self._file(f"/v1/sessions/{quote(id_, safe='')}/recording" + _query(how=how), sink)

    def evidence(self, id_: str, sink: Callable[[bytes], object], how: str) -> str:
        """As `recording`, behind the proof that the log has it. Gives why that is missing, or nothing."""
        return unquote(self._file(f"/v1/sessions/{quote(id_, safe='')}/evidence" + _query(how=how), sink))

    def _file(self, path: str, sink: Callable[[bytes], object]) -> str:
        with self._answer("GET", path, b"", signed=True) as answer:
            while chunk := self._read(answer, _CHUNK):
                sink(chunk)
            if answer.length:
                raise Unreachable("the recording broke off on its way", "try again")
            return answer.getheader(UNPROVED, "")

    def tail(self, id_: str) -> Generator[bytes, None, None]:
        """The recording as it grows, until its session is over. An empty piece: so far this is all."""
        with self._answer("GET", f"/v1/sessions/{quote(id_, safe='')}/tail", b"", signed=True) as answer:
            while head := self._read(answer, 4):
                size = int.from_bytes(head, "big")
                if len(head) < 4 or size > _CHUNK:
                    raise Unreachable("the recording broke off on its way", "try again")
                piece = self._read(answer, size) if size else b""
                if len(piece) < size:
                    raise Unreachable("the recording broke off on its way", "try again")
                yield piece

    def events(self, **wanted: str) -> EventsListed:
        """`wanted`: user, target, type, session, since, until and limit; after, known and wait to follow."""
        given = {name: value for name, value in wanted.items() if value}
        return self._ask("GET", "/v1/events" + _query(**given), EventsListed)

    def leases(self, **wanted: str) -> list[LeaseView]:
        """`wanted`: target, user, state, session, all (`true`) and limit."""
        return self._ask("GET", "/v1/leases" + _query(**wanted), _Leases).leases

    def revoke_leases(self, order: RevokeLeases) -> list[LeaseRevoked]:
        return self._ask("POST", "/v1/leases/revoke", _LeasesRevoked, order).leases

    def hold(self, session: str, reason: str) -> HoldView:
        return self._ask("POST", "/v1/audit/holds", HoldView, HoldFor(session, reason))

    def release(self, hold: str, reason: str) -> HoldView:
        return self._ask("POST", f"/v1/audit/holds/{quote(hold, safe='')}/release", HoldView, Release(reason))

    def holds(self, session: str, *, everything: bool) -> list[HoldView]:
        query = _query(session=session, all="true" if everything else "")
        return self._ask("GET", "/v1/audit/holds" + query, _Holds).holds

    def collect(self, *, dry_run: bool) -> Iterator[Collection]:
        """Page by page, to the end."""
        after, is_over = "", False
        while not is_over:
            page = self._ask("POST", "/v1/audit/gc", Collection, Gc(dry_run, after))
            yield page
            after, is_over = page.next, not page.next

    def _ask(self, method: str, path: str, kind: type[T], body: Struct | None = None, *, signed: bool = True) -> T:
        content = msgspec.json.encode(body) if body is not None else b""
        with self._answer(method, path, content, signed=signed) as answer:
            return _decoded(self._read(answer, MAX_ANSWER + 1), kind)

    def issuer(self) -> dict[str, Any]:
        """How the issuer inside the broker describes itself; empty where there is none."""
        path = f"{ISSUER}/.well-known/openid-configuration"
        with self._exchange("GET", path, b"", {"Accept": "application/json"}) as answer:
            content = self._read(answer, MAX_ANSWER)
            return _decoded(content, dict[str, Any]) if answer.status == 200 else {}

    def form(self, path: str, fields: Mapping[str, str], proof: str) -> tuple[int, dict[str, Any]]:
        """Send a form to the issuer inside the broker, with a proof of a key; gives its status and answer."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", "DPoP": proof}
        with self._exchange("POST", path, urlencode(fields).encode(), headers) as answer:
            status, content = answer.status, self._read(answer, MAX_ANSWER)
        try:
            return status, msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.DecodeError:
            return status, {}

    @contextmanager
    def _answer(self, method: str, path: str, content: bytes, *, signed: bool) -> Iterator[HTTPResponse]:
        with self._exchange(method, path, content, self._headers(method, path, signed=signed)) as answer:
            if not 200 <= answer.status < 300:
                raise error_in(answer.status, self._read(answer, MAX_ANSWER))
            yield answer

    @contextmanager
    def _exchange(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        parts = urlsplit(self._settings.broker)
        connection = HTTPSConnection(
            parts.hostname or "",
            parts.port,
            context=self._tls,
            timeout=TIMEOUT_SECONDS + LONGEST_POLL_SECONDS,
        )
        try:
            with self._failures():
                connection.request(method, path, content or None, dict(headers))
                answer = connection.getresponse()
            yield answer
        finally:
            connection.close()

    def _read(self, answer: HTTPResponse, size: int) -> bytes:
        with self._failures():
            return answer.read(size)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """What goes wrong on the wire, as an error that says so."""
        try:
            yield
        except OSError as error:
            raise trust.why(self._settings, error) from None
        except HTTPException:
            message = f"what answers at {self._settings.broker} breaks HTTP"
            raise Unreachable(message, "check the address: is it a hoopx broker?") from None

    def _headers(self, method: str, path: str, *, signed: bool) -> Mapping[str, str]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if signed:
            headers |= self._credential().headers(method, self._settings.broker + path)
        return headers


def _decoded(content: bytes, kind: type[T]) -> T:
    if len(content) > MAX_ANSWER:
        raise HoopxError("the broker's answer is too large", "ask for less, for instance with --limit")
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        message = f"the broker's answer cannot be read: {error}"
        raise HoopxError(message, "broker and CLI may be of different versions") from None


def _query(**values: str) -> str:
    given = {name: value for name, value in values.items() if value}
    return "?" + urlencode(given) if given else ""

"""Ask GitHub Actions for a token of this job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.provider import demand_safe
from hoopx_cli.workload_source import NoJobToken

if TYPE_CHECKING:
    import httpx2

CALL_SECONDS = 15.0  # as for other providers
MAX_ANSWER = 65_536  # a token of at most 16 KB in a small object
# Seconds between tries: the service is known to stumble, and a job that failed for that is run again by people.
PAUSES = (0.5, 2.0)
_ISSUER = "https://token.actions.githubusercontent.com"


class GitHub:
    """The service at ACTIONS_ID_TOKEN_REQUEST_URL, which jobs with `permissions: id-token: write` may ask."""

    name = "GitHub Actions"
    audiences: tuple[str, ...] | None = None

    def __init__(self, environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
        self._may_ask = Secret(environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""))
        self._server = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        self._sleep = sleep

    def may_be_of(self, issuer: str) -> bool:
        """github.com and its enterprises, ghe.com, or an Enterprise Server."""
        scheme, _, host = self._server.partition("://")
        if host == "github.com":
            return issuer == _ISSUER or issuer.startswith(_ISSUER + "/")
        if host.endswith(".ghe.com"):
            own = f"https://token.actions.{host}"
            return issuer == own or issuer.startswith(own + "/")
        return issuer == f"{scheme}://{host}/_services/token"

    def fetch(self, audience: str) -> Secret:
        if not self._url or not self._may_ask.reveal():
            raise NoJobToken(
                "this job may not ask GitHub for a token",
                "give it `permissions: {id-token: write}`; a pull request from a fork never gets that",
            )
        demand_safe(self._url, "address of GitHub's token service")
        for pause in (*PAUSES, None):
            try:
                return self._ask(audience)
            except Unreachable:
                if pause is None:
                    raise
                self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def misses(self, audience: str) -> NoJobToken:
        return NoJobToken("GitHub gave a token for another audience than it was asked for", "tell who runs the runner")

    def _ask(self, audience: str) -> Secret:
        import httpx2  # 130 ms: only for jobs

        headers = {
            "authorization": f"Bearer {self._may_ask.reveal()}",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        try:
            # No redirects: what may ask for tokens goes nowhere else.
            with (
                httpx2.Client(timeout=CALL_SECONDS, trust_env=not self._is_here()) as client,
                client.stream("GET", _with_audience(self._url, audience), headers=headers) as answer,
            ):
                return _token_in(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _unreachable(type(error).__name__) from None

    def _is_here(self) -> bool:
        return urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1")


def _with_audience(url: str, audience: str) -> str:
    """The service's URL has a query already. An audience that stands in it is not ours."""
    scheme, host, path, query, _ = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "audience"]
    return urlunsplit((scheme, host, path, urlencode([*kept, ("audience", audience)]), ""))


def _token_in(answer: httpx2.Response) -> Secret:
    held = bytearray()
    for chunk in answer.iter_raw():
        held += chunk
        if len(held) > MAX_ANSWER:
            raise _unreachable("its answer is too large")
    if answer.status_code in (400, 401, 403):
        raise NoJobToken(
            f"GitHub refuses this job a token (status {answer.status_code})",
            "is the job still running, and has it `permissions: {id-token: write}`?",
        )
    if answer.status_code != 200:
        raise _unreachable(f"status {answer.status_code}")
    try:
        value: Any = msgspec.json.decode(bytes(held), type=dict[str, Any]).get("value")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, str) or not value:
        raise _unreachable("its answer holds no token")
    return Secret(value)


def _unreachable(why: str) -> Unreachable:
    return Unreachable(f"GitHub's token service cannot be asked: {why}", "run the job again; see www.githubstatus.com")

"""Read a request of the authorization endpoint (RFC 6749 section 4.1.1): whom to answer, and what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from msgspec import Struct

from hoopx_broker.identity.embedded.pkce import challenge_of
from hoopx_broker.identity.embedded.refusals import OAuthError

SCOPES = ("openid", "profile", "email", "groups", "offline_access")
PROMPTS = frozenset({"none", "login", "consent", "select_account"})

# A native program listens on this machine (RFC 8252 section 7.3): any port, any plain path, but only by the numbers:
# what `localhost` means is for whoever writes the hosts file to say. What is read here is what browsers read.
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})(/[A-Za-z0-9._~/-]{0,200})?")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_AGE = re.compile(r"[0-9]{1,9}")
# The broker's own pages are a client, too: one that has a single address, and redeems its codes inside the process.
PAGES, PAGES_RETURN = "hoopx-pages", "/login/embedded/callback"
MAX_STATE = 1_024  # characters of `state` and `nonce`: they are held, and `state` goes back in an address


class Back(Struct, frozen=True):
    """Where the answer goes: an address that was checked, the client's `state`, and our name (RFC 9207)."""

    redirect_uri: str
    state: str | None
    issuer: str

    @property
    def port(self) -> str:
        return self.redirect_uri.split("/")[2].rpartition(":")[2]

    @property
    def host(self) -> str:
        return self.redirect_uri.split("/")[2]

    def with_code(self, code: str) -> str:
        return self._with({"code": code})

    def with_error(self, code: str, description: str) -> str:
        return self._with({"error": code, "error_description": description})

    def _with(self, said: dict[str, str]) -> str:
        state = {"state": self.state} if self.state is not None else {}
        return f"{self.redirect_uri}?{urlencode(said | state | {'iss': self.issuer})}"


class Authorization(Struct, frozen=True):
    """What a client asked for. `key` is the thumbprint that it wants the code bound to (RFC 9449 section 10)."""

    client: str
    back: Back
    scope: str
    challenge: str
    nonce: str | None
    key: str | None


def read_back(params: Mapping[str, str], client: str, issuer: str) -> Back:
    """Where to answer. Raises `OAuthError` where nobody may be sent: to a client or an address that is not known."""
    if params.get("client_id") not in (client, PAGES):
        raise OAuthError("invalid_request", "This application is not known here.")
    uri = params.get("redirect_uri", "")
    is_known = uri == pages_return(issuer) if params["client_id"] == PAGES else _is_loopback(uri)
    if not is_known:
        raise OAuthError("invalid_request", "This address is not one that an answer may be sent to.")
    state = params.get("state")
    return Back(uri, state if state is None or len(state) <= MAX_STATE else None, issuer)


def pages_return(issuer: str) -> str:
    """Where people come back to the pages of the broker that this issuer is in."""
    return issuer.removesuffix("/oidc") + PAGES_RETURN


def read_authorization(params: Mapping[str, str], back: Back) -> Authorization:
    """What is asked. Raises `OAuthError`, which `back` may be told."""
    _check_response(params)
    _check_prompt(params)
    if (challenge := challenge_of(params)) is None:
        raise OAuthError("invalid_request", "a code challenge of S256 must come with the request")
    key = params.get("dpop_jkt")
    if key is not None and not _THUMBPRINT.fullmatch(key):
        raise OAuthError("invalid_request", "`dpop_jkt` is no thumbprint")
    return Authorization(params["client_id"], back, known_scopes(params), challenge, params.get("nonce"), key)


def known_scopes(params: Mapping[str, str]) -> str:
    """What is asked for of what there is."""
    return " ".join(dict.fromkeys(each for each in params.get("scope", "openid").split() if each in SCOPES))


def _is_loopback(uri: str) -> bool:
    found = _LOOPBACK.fullmatch(uri)
    return found is not None and int(found[2]) <= 65_535


def _check_response(params: Mapping[str, str]) -> None:
    for name in ("request", "request_uri", "registration"):
        if name in params:
            raise OAuthError(f"{name}_not_supported", f"`{name}` is not taken here")
    if params.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "the one response type is `code`")
    if params.get("response_mode", "query") != "query":
        raise OAuthError("invalid_request", "the one response mode is `query`")
    if any(len(params.get(name, "")) > MAX_STATE for name in ("state", "nonce")):
        raise OAuthError("invalid_request", f"`state` and `nonce` have at most {MAX_STATE} characters")


def _check_prompt(params: Mapping[str, str]) -> None:
    """Everybody logs in and confirms each time, so whatever is asked of that is given; except asking nobody."""
    prompts = set(params.get("prompt", "").split())
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise OAuthError("invalid_request", "this prompt is not known")
    if "none" in prompts:
        raise OAuthError("login_required", "people log in each time")
    if "max_age" in params and not _AGE.fullmatch(params["max_age"]):
        raise OAuthError("invalid_request", "`max_age` is not a number of seconds")

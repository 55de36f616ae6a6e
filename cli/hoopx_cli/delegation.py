"""Act as an agent on behalf of the person who is logged in: token exchange (RFC 8693) at the broker's own issuer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hoopx_broker.api.messages import About
from hoopx_broker.terms.errors import BadInput, Denied, Unauthenticated
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.provider import is_same_place
from hoopx_cli.unverified import seconds_of

if TYPE_CHECKING:
    from hoopx_cli.api import Api
    from hoopx_cli.credential import Credential

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
NAME_SETTING = "HOOPX_AGENT_NAME"
# Seconds; a little more than what sessions are renewed before (`renewal.RENEW_BEFORE`), so that they get a new one.
RENEW_BEFORE = 90.0
# Seconds; where the person's own token is about to end, a new one of the agent ends no later, however often one asks.
LEAST_HELD = 10.0


def agent_of(named: str, environ: Mapping[str, str], about: Callable[[], About]) -> str:
    """The agent that the command line names, else the environment, else the only one there is. Raises `BadInput`."""
    name = named or environ.get(NAME_SETTING, "")
    if name:
        return name
    known = about().agents
    if len(known) == 1:
        return known[0]
    message = f"the broker knows {len(known)} agents that could act for you" if known else "which agent acts for you?"
    raise BadInput(message, _choose(known))


class Delegation:
    """Tokens of one agent on behalf of one person, in memory only, each bound to that person's key."""

    def __init__(
        self, api: Api, broker: str, human: Callable[[], Credential], agent: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._api = api
        self._broker = broker
        self._human = human
        self._agent = agent
        self._clock = clock
        self._endpoint = ""
        self._held: Credential | None = None
        self._renew_at = 0.0
        # Sessions of several targets may want it at once, each in a thread of its own.
        self._turn = threading.Lock()

    def credential(self) -> Credential:
        """What a call as the agent carries, exchanged anew near its end. Raises what the person's own raises, too."""
        with self._turn:
            if self._held is None or self._clock() >= self._renew_at:
                self._held = self._exchanged(self._human())
            return self._held

    def _exchanged(self, human: Credential) -> Credential:
        from hoopx_cli.credential import Credential  # cryptography costs 30 ms

        url = self._endpoint = self._endpoint or self._token_endpoint()
        asked_at = self._clock()
        form = {
            "grant_type": EXCHANGE,
            "client_id": self._agent,
            "subject_token": human.token.reveal(),
            "subject_token_type": _JWT,
        }
        status, answer = self._api.form(urlsplit(url).path, form, human.key.prove("POST", url, asked_at))
        token, life = answer.get("access_token"), seconds_of(answer.get("expires_in"))
        if status != 200 or not isinstance(token, str) or life is None:
            raise self._refused(answer)
        self._renew_at = asked_at + max(life - RENEW_BEFORE, min(life, LEAST_HELD))
        return Credential(Secret(token), human.key, "DPoP")

    def _token_endpoint(self) -> str:
        """The person's token goes to the broker that it is for, and nowhere else, whatever the broker says."""
        url = self._api.issuer().get("token_endpoint")
        if not isinstance(url, str):
            message = "this broker has no issuer of its own, so that no agent can act on behalf of anybody"
            raise BadInput(message, "whoever runs it adds `kind: embedded` with `agents` to its `identity`")
        if not is_same_place(url, self._broker):
            message = f"the broker calls itself `{inert(url)[:200]}`, not {self._broker}"
            raise BadInput(message, "give --broker the address that it calls itself by")
        return url

    def _refused(self, answer: dict[str, Any]) -> Exception:
        told = inert(str(answer.get("error_description") or answer.get("error") or "no reason given"))[:200]
        match answer.get("error"):
            case "invalid_client" | "unauthorized_client":
                message = f"the broker knows no agent `{self._agent}` that acts on behalf of people"
                return BadInput(message, _choose(self._api.about().agents))
            case "invalid_request" | "invalid_dpop_proof":
                return Unauthenticated(f"`{self._agent}` cannot act for you: {told}", "log in with `hoopx login`")
            case _:
                return Denied(f"`{self._agent}` cannot act for you: {told}", "the broker's log says why")


def _choose(known: Sequence[str]) -> str:
    if known:
        return f"name one with --as: {', '.join(inert(name) for name in known)}"
    return f"name one with --as or {NAME_SETTING}; whoever runs the broker keeps them under `agents` in its `identity`"

"""Slack's Web API, as far as notices need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from hoopx_broker.terms.notices import NotTold
from hoopx_broker.terms.secret import Secret
from hoopx_plugins.notice_http import Answer, Line, is_loopback

API = "https://slack.com/api/"

# Errors that say what is to be done; of all others the name is told.
_REMEDIES = {
    "invalid_auth": "look at `token`: Slack does not know it",
    "not_authed": "look at `token`: Slack does not know it",
    "account_inactive": "look at `token`: its app was removed",
    "token_revoked": "look at `token`: it was revoked",
    "missing_scope": "give the app the scope `chat:write` and install it again",
    "channel_not_found": "write the id of a channel (`C…`) and invite the app to it",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "name another channel",
}


class SlackSays(NotTold):
    """Slack answered that it did not do it; `error` is its own word."""

    def __init__(self, name: str, method: str, error: str, after: float = 0) -> None:
        super().__init__(f"`{name}`: {method} answered `{error}`", _REMEDIES.get(error, ""), after=after)
        self.error = error


class _Reply(Struct, frozen=True):
    ok: bool
    error: str = ""
    ts: str = ""
    channel: Any = None


class SlackApi:
    """`name` is what errors call it; `base` is where the API is."""

    def __init__(self, name: str, token: Secret, base: str, ca: Path | None) -> None:
        self._name = name
        self._token = token
        self._base = base
        self._line = Line(name, ca, to_itself=is_loopback(urlsplit(base).hostname or ""))

    async def call(self, method: str, **arguments: Any) -> str:
        """Gives the `ts` of the message, where there is one. Raises `NotTold`."""
        answer = await self._line.post(
            Secret(self._base + method),
            msgspec.json.encode(arguments),
            {
                "content-type": "application/json; charset=utf-8",
                "authorization": f"Bearer {self._token.reveal()}",
                "user-agent": "hoopx",
            },
        )
        if answer.status != 200:
            raise SlackSays(self._name, method, _of_status(answer), answer.after)
        try:
            reply = msgspec.json.decode(answer.body, type=_Reply)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise SlackSays(self._name, method, "nonsense") from None
        if not reply.ok:
            raise SlackSays(self._name, method, _word(reply.error))
        return reply.ts

    async def close(self) -> None:
        await self._line.close()


def _of_status(answer: Answer) -> str:
    return "ratelimited" if answer.status == 429 else f"status {answer.status}"


def _word(error: str) -> str:
    """Slack's errors are words; anything else is not repeated."""
    return error if error.isascii() and error.replace("_", "").isalnum() and len(error) < 64 else "nonsense"

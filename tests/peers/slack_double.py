"""A double of Slack: its Web API as documented at docs.slack.dev, checked where a real one would refuse, and its calls.

It is not Slack: what is not documented is not here.
"""

from __future__ import annotations

import html
import json
import re
import time
from typing import Any
from urllib.parse import urlencode

from hoopx_broker.terms.secret import Secret
from hoopx_plugins.slack_calls import signature
from tests.peers.receiver import Answered, Got

TOKEN = "xoxb-1234-very-secret"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TRIGGER_SECONDS = 3.0

# What Slack begins and ends a mention, a link or a date with, in any text that it parses.
_CONTROL = re.compile(r"[<>]|&(?!amp;|lt;|gt;)")


class SlackDouble:
    """Channels by id, each with its messages by their time stamp; what somebody alone was shown; dialogues."""

    def __init__(self, *channels: str) -> None:
        self.channels: dict[str, dict[str, dict[str, Any]]] = {channel: {} for channel in channels}
        self.whispers: list[dict[str, Any]] = []
        self.dialogues: list[dict[str, Any]] = []
        self.triggers: dict[str, float] = {}
        self._count = 0

    def answer(self, got: Got) -> Answered:
        said = self._call(got)
        return Answered(200, {"content-type": "application/json"}, json.dumps(said).encode())

    def _call(self, got: Got) -> dict[str, Any]:
        if got.headers.get("authorization") != f"Bearer {TOKEN}":
            return _no("invalid_auth")
        if not got.headers["content-type"].startswith("application/json"):
            return _no("invalid_form_data")
        asked = json.loads(got.body)
        match got.path.removeprefix("/api/"):
            case "chat.postMessage":
                return self._post(asked)
            case "chat.update":
                return self._update(asked)
            case "chat.postEphemeral":
                return self._whisper(asked)
            case "views.open":
                return self._open(asked)
            case _:
                return _no("unknown_method")

    def _post(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["channel"] not in self.channels:
            return _no("channel_not_found")
        if trouble := _trouble_with(asked):
            return _no(trouble)
        self._count += 1
        ts = f"1531420618.{self._count:06}"
        self.channels[asked["channel"]][ts] = asked
        return {"ok": True, "channel": asked["channel"], "ts": ts, "message": {"text": asked["text"]}}

    def _update(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["ts"] not in self.channels.get(asked["channel"], {}):
            return _no("message_not_found")
        if trouble := _trouble_with(asked):
            return _no(trouble)
        self.channels[asked["channel"]][asked["ts"]] = asked
        return {"ok": True, "channel": asked["channel"], "ts": asked["ts"]}

    def _whisper(self, asked: dict[str, Any]) -> dict[str, Any]:
        if trouble := _trouble_with(asked):
            return _no(trouble)
        self.whispers.append(asked)
        return {"ok": True, "message_ts": "1531420618.999999"}

    def _open(self, asked: dict[str, Any]) -> dict[str, Any]:
        began = self.triggers.pop(asked["trigger_id"], None)
        if began is None:
            return _no("invalid_trigger")
        if time.monotonic() - began > TRIGGER_SECONDS:
            return _no("expired_trigger_id")
        view = asked["view"]
        if view["type"] != "modal" or len(view["title"]["text"]) > 24 or trouble_with_blocks(view["blocks"]):
            return _no("invalid_arguments")
        self.dialogues.append(view)
        return {"ok": True, "view": view}

    def trigger(self) -> str:
        self._count += 1
        self.triggers[found := f"{self._count}.trigger"] = time.monotonic()
        return found


def signed(payload: dict[str, Any], at: float, secret: str = SIGNING_SECRET) -> tuple[bytes, dict[str, str]]:
    """A call as Slack makes it: body and headers."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    stamp = str(int(at))
    return body, {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature(Secret(secret), stamp, body),
    }


def click(action: str, request: str, user: str, trigger: str, channel: str = "C0DBA") -> dict[str, Any]:
    return {
        "type": "block_actions",
        "team": {"id": "T1", "domain": "example"},
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T1"},
        "api_app_id": "A1",
        "token": "deprecated",
        "container": {"type": "message", "message_ts": "1.1", "channel_id": channel, "is_ephemeral": False},
        "trigger_id": trigger,
        "channel": {"id": channel, "name": "approvals"},
        "actions": [{"action_id": action, "block_id": "x", "value": request, "type": "button", "action_ts": "1.2"}],
    }


def submission(view: dict[str, Any], user: str, comment: str | None) -> dict[str, Any]:
    block = next(each["block_id"] for each in view["blocks"] if each["type"] == "input")
    value = {"type": "plain_text_input", "value": comment}
    shown = {key: view[key] for key in ("callback_id", "private_metadata", "title", "blocks")}
    return {
        "type": "view_submission",
        "team": {"id": "T1", "domain": "example"},
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T1"},
        "api_app_id": "A1",
        "view": {"id": "V1", "type": "modal", **shown, "state": {"values": {block: {block: value}}}},
    }


def _no(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


def _trouble_with(asked: dict[str, Any]) -> str:
    if len(asked["text"]) > 40_000:
        return "msg_too_long"
    return "invalid_blocks" if trouble_with_blocks(asked.get("blocks", [])) else ""


def trouble_with_blocks(blocks: list[dict[str, Any]]) -> bool:
    """By the limits that the reference of Block Kit gives."""
    if len(blocks) > 50:
        return True
    texts = [block["text"] for block in blocks if block["type"] == "section"]
    buttons = [each for block in blocks if block["type"] == "actions" for each in block["elements"]]
    return (
        any(not 1 <= len(text["text"]) <= 3000 for text in texts)
        or any(len(each["text"]["text"]) > 75 or len(each.get("url", "")) > 3000 for each in buttons)
        or any(len(each.get("value", "")) > 2000 for each in buttons)
    )


def mentions(message: dict[str, Any]) -> list[str]:
    """What Slack would not show as text in any part of a message: mentions, links, and marks of formatting."""
    texts = [message["text"], *(text for text, _ in _texts_of(message["blocks"]))]
    marked = [text for text, kind in _texts_of(message["blocks"]) if kind != "plain_text"]
    return [*marked, *(found for text in texts for found in _CONTROL.findall(text))]


def shown(message: dict[str, Any]) -> str:
    """The words that a reader sees."""
    return html.unescape("\n".join(text for text, _ in _texts_of(message["blocks"])))


def labels(message: dict[str, Any]) -> list[str]:
    elements = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return [each["text"]["text"] for each in elements]


def _texts_of(blocks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found = [block["text"] for block in blocks if block["type"] == "section"]
    found += [each["text"] for block in blocks if block["type"] == "actions" for each in block["elements"]]
    return [(text["text"], text["type"]) for text in found]

"""Calls from Slack: who made them, and what they say."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct, field

from hoopx_broker.terms.secret import Secret

MAX_AGE = 300.0  # what Slack says: older is a replay


class Person(Struct, frozen=True):
    """Who clicked. An id is one person's within its workspace alone."""

    id: str
    team_id: str = ""
    username: str = ""
    name: str = ""


class Named(Struct, frozen=True):
    id: str = ""


class Action(Struct, frozen=True):
    action_id: str = ""
    value: str = ""


class State(Struct, frozen=True):
    values: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


class View(Struct, frozen=True):
    callback_id: str = ""
    private_metadata: str = ""
    state: State = State()


class Interaction(Struct, frozen=True):
    """What is read of a payload: `block_actions` of a message, or `view_submission` of a dialogue."""

    type: str
    user: Person
    team: Named | None = None
    api_app_id: str = ""
    trigger_id: str = ""
    channel: Named | None = None
    actions: tuple[Action, ...] = ()
    view: View | None = None


def is_signed(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """By Slack with this app's signing secret, within the last five minutes."""
    at, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not (at.isascii() and at.isdigit() and len(at) < 12) or abs(now - int(at)) > MAX_AGE:
        return False
    return hmac.compare_digest(signature(secret, at, body).encode(), given.encode("utf-8", "replace"))


def signature(secret: Secret, at: str, body: bytes) -> str:
    """Version 0, as https://api.slack.com/authentication/verifying-requests-from-slack has it."""
    return "v0=" + hmac.digest(secret.reveal().encode(), b":".join((b"v0", at.encode(), body)), "sha256").hex()


def interaction_of(body: bytes) -> Interaction | None:
    """None for what is no interaction."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8)
        return msgspec.json.decode(fields.get("payload", [""])[0], type=Interaction)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return None

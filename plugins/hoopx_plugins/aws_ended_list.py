"""The list of ended sessions that a role carries: a policy that denies everything to each, as long as its keys live."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

POLICY_NAME = "hoopx-ended-sessions"
# AWS's limit for all inline policies of a role together, in characters without white space.
MAX_CHARACTERS = 10_240
# Ends are rounded up to these: each statement costs 110 characters, each session in it 50.
STEP_SECONDS = 900
_UNTIL = re.compile(r"until([0-9]{1,12})")
_KEY = "aws:userid"  # ROLE-ID:NAME-OF-THE-SESSION, which nobody can choose or change

Ended = dict[str, int]  # until when a session's keys would live, by its user id


def read(document: Any) -> Ended:
    """What `written` wrote. What it did not write is nobody's list, and is not kept."""
    ended: Ended = {}
    for statement in document.get("Statement", ()) if isinstance(document, dict) else ():
        found = _UNTIL.fullmatch(str(statement.get("Sid", "")))
        users = statement.get("Condition", {}).get("StringEquals", {}).get(_KEY, ())
        for user in [users] if isinstance(users, str) else users:
            ended[user] = max(ended.get(user, 0), int(found[1]) if found else 0)
    return ended


def extended(ended: Mapping[str, int], more: Mapping[str, float], now: float) -> Ended:
    """With `more`, and without those whose keys have ended by themselves."""
    merged = {user: until for user, until in ended.items() if until > now}
    for user, until in more.items():
        merged[user] = max(merged.get(user, 0), math.ceil(until / STEP_SECONDS) * STEP_SECONDS)
    return merged


def written(ended: Mapping[str, int]) -> str:
    """As a policy. Raises `ValueError` where it would be longer than AWS takes."""
    untils = sorted(set(ended.values()))
    statements = [_denying(until, sorted(user for user in ended if ended[user] == until)) for until in untils]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(ended)} sessions have ended whose keys still live, and AWS has no room for more")
    return text


def _denying(until: int, users: list[str]) -> dict[str, Any]:
    return {
        "Sid": f"until{until}",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {_KEY: users}},
    }

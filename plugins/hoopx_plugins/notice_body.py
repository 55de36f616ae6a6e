"""What is told as JSON: the body of a webhook, version 1, as docs/notifiers.md has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from hoopx_broker.terms.notices import Notice, Said

VERSION = 1


def body_of(notice: Notice) -> bytes:
    """Keys that are empty for a kind of request are left out; keys are added later, never changed within a version."""
    return msgspec.json.encode(
        {
            "type": f"request.{notice.event.replace('-', '_')}",
            "timestamp": _time(notice.at),
            "version": VERSION,
            "data": {key: value for key, value in _data(notice).items() if value not in ("", None, (), {}, [], 0)},
        }
    )


def _data(notice: Notice) -> dict[str, Any]:
    return {
        "request": notice.request,
        "state": notice.state,
        "kind": notice.kind,
        "target": notice.target,
        "requester": notice.requester,
        "on_behalf_of": notice.on_behalf_of,
        "reason": notice.reason,
        "ticket": notice.ticket,
        "link": notice.link,
        "by": notice.by,
        "comment": notice.comment,
        "duration": notice.duration,
        "expires_at": _time(notice.expires_at) if notice.expires_at else None,
        "session": notice.session,
        "classes": notice.classes,
        "rules": notice.rules,
        "approvers": notice.approvers,
        "votes": [_said(each) for each in notice.votes],
        "statement": notice.statement,
        "actions": notice.actions,
        "tables": notice.tables,
        "break_glass": notice.glass or None,
        "review": notice.review,
        "reviewers": notice.reviewers if notice.glass else None,
        "reviews": [_said(each) for each in notice.reviews],
    }


def _said(said: Said) -> dict[str, Any]:
    return {"by": said.by, "verdict": said.verdict, "comment": said.comment, "at": _time(said.at)}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""How a notice looks in Slack: blocks in which nothing that people wrote is markup."""

from __future__ import annotations

from typing import Any

from hoopx_broker.terms.notices import Notice
from hoopx_plugins.notice_text import facts, headline

Block = dict[str, Any]

MAX_TEXT = 2_900  # Slack takes 3000 of a section, counted after escaping
MAX_HEADLINE = 600
MAX_COMMENT = 1_000

APPROVE, DENY, COMMENT = "hoopx_approve", "hoopx_deny", "hoopx_comment"


def escaped(text: str, limit: int = MAX_TEXT) -> str:
    """Slack's three control characters as entities: no mention, no link, no channel can be written in what is left."""
    safe = ""
    for c in text:
        part = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(c, c)
        if len(safe) + len(part) > limit - 1:
            return safe + "…"
        safe += part
    return safe


def plain(text: str, limit: int = MAX_TEXT) -> Block:
    """No formatting, no mentions, no `:emoji:` that could pass for a mark of ours."""
    return {"type": "plain_text", "text": escaped(text, limit) or "–", "emoji": False}


def message(notice: Notice, *, has_buttons: bool) -> dict[str, Any]:
    """`text` is what notifications show. It is parsed by Slack, so neither names nor links are looked for in it."""
    return {
        "text": escaped(headline(notice), MAX_HEADLINE),
        "blocks": [*_blocks(notice), _actions(notice, has_buttons=has_buttons)],
        "parse": "none",
        "link_names": False,
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _blocks(notice: Notice) -> list[Block]:
    told = "\n".join(f"{label}: {text}" for label, text in facts(notice))
    return [
        {"type": "section", "text": plain(headline(notice), MAX_HEADLINE)},
        {"type": "section", "text": plain(told)},
    ]


def _actions(notice: Notice, *, has_buttons: bool) -> Block:
    # A link that is a button cannot be made to look like another one by what stands around it.
    look: Block = {"type": "button", "text": plain("Open the request"), "url": notice.link, "action_id": "hoopx_open"}
    buttons = [_button(notice, APPROVE, "Approve…", "primary"), _button(notice, DENY, "Deny…", "danger")]
    return {"type": "actions", "elements": [*(buttons if has_buttons else ()), look]}


def _button(notice: Notice, action: str, label: str, style: str) -> Block:
    text = {"type": "plain_text", "text": label, "emoji": False}
    return {"type": "button", "text": text, "action_id": action, "value": notice.request, "style": style}


def comment_view(request: str, target: str, verdict: str) -> dict[str, Any]:
    """The dialogue in which a vote is given. `private_metadata` comes back as it is, from Slack's own memory."""
    verb = "Approve" if verdict == "approve" else "Deny"
    return {
        "type": "modal",
        "callback_id": APPROVE if verdict == "approve" else DENY,
        "private_metadata": request,
        "title": plain(f"{verb} request"),
        "submit": plain(verb),
        "close": plain("Back"),
        "blocks": [
            {"type": "section", "text": plain(f"Request {request} on {target}")},
            {
                "type": "input",
                "block_id": COMMENT,
                "optional": True,
                "label": plain("Comment"),
                "element": {
                    "type": "plain_text_input",
                    "action_id": COMMENT,
                    "multiline": True,
                    "max_length": MAX_COMMENT,
                },
            },
        ],
    }


def told_view(title: str, text: str, link: str) -> dict[str, Any]:
    """What takes the dialogue's place when the vote did not count."""
    return {
        "type": "modal",
        "title": plain(title),
        "close": plain("Close"),
        "blocks": [{"type": "section", "text": plain(text)}, link_block(link)],
    }


def link_block(link: str, label: str = "Open the request") -> Block:
    return {
        "type": "actions",
        "elements": [{"type": "button", "text": plain(label), "url": link, "action_id": "hoopx_open"}],
    }

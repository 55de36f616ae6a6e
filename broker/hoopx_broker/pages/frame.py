"""The frame of every page: one style sheet, the same headers, HTML that needs no script."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from importlib.resources import files

STYLE = (files("hoopx_broker.pages") / "style.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()

# Nothing is loaded, run, framed or posted elsewhere; the one style sheet is allowed by its hash.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'@; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_HEADERS = {
    "cache-control": "no-store",
    # Other sites hear nothing. Not `no-referrer`: by it browsers keep the origin out of our own forms, too.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def headers(posts_to: str = "") -> dict[str, str]:
    """The headers of a page whose form may lead to `posts_to` besides this broker."""
    policy = _POLICY.replace("@", f" {posts_to}" if posts_to else "")
    return _HEADERS | {"content-security-policy": policy}


def page(title: str, body: str, head: str = "", *, top: str = "", wide: bool = False) -> str:
    """A whole document. `body`, `head` and `top`, which stands beside our name, are HTML; `title` is plain text."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{head}<title>{escape(title)} · hoopx</title>
<style>{STYLE}</style>
</head>
<body>
<main{' class="wide"' if wide else ""}>
<div class="top"><p class="mark">hoopx</p>{top}</div>
{body}
</main>
</body>
</html>
"""


def onward(url: str, name: str) -> str:
    """A page that leads on by itself, and by a link where a browser does not follow.

    No redirect: browsers hold a page's `form-action` against wherever its form leads in the end.
    """
    return page(
        "Log in",
        f"""<h1>One moment</h1>
<p>You are led to <b>{escape(name)}</b>.</p>
<p><a href="{escape(url)}">Go on</a></p>""",
        head=f'<meta http-equiv="refresh" content="0; url={escape(url)}">\n',
    )

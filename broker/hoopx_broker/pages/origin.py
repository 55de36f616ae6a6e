"""Is a form one of our own pages'? Browsers say where it comes from, whatever the page that sent it wants."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def is_own_form(headers: Mapping[str, str], url: str) -> bool:
    """`url` is where people find the broker. Clients that are no browsers say nothing, and have no cookies to abuse."""
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):  # `none`: the person alone
        return False
    origin = headers.get("origin")
    ours = {urlsplit(url).netloc, headers.get("host", "")}
    return origin is None or (origin.startswith("https://") and origin.removeprefix("https://") in ours)

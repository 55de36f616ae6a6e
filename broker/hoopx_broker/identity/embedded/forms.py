"""Read the forms that browsers and clients post, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from hoopx_broker.identity.embedded.refusals import OAuthError

MAX_FORM = 16_384  # the longest field is a password of 1024 characters: 12 KB when each is a sign outside ASCII
MAX_FIELDS = 24  # the longest real one has fifteen


async def read_form(request: Request, limit: int = MAX_FORM) -> dict[str, str]:
    """The fields of an urlencoded form, each at most once (RFC 6749 section 3.2). Raises `OAuthError`."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send a form: application/x-www-form-urlencoded")
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > limit:
            raise OAuthError("invalid_request", "the form is too large", 413)
    try:
        return fields_of(held.decode("ascii"))
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "the form cannot be read") from None


def fields_of(text: str) -> dict[str, str]:
    """The fields of an urlencoded text, each at most once. Raises `OAuthError`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError("invalid_request", "the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise OAuthError("invalid_request", "a field of the form is given twice")
    return fields


def field(form: Mapping[str, str], name: str) -> str:
    """A field that must be there."""
    if not form.get(name):
        raise OAuthError("invalid_request", f"`{name}` is missing")
    return form[name]

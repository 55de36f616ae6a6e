"""How AWS sees a session: its name, the person behind it, and its tags, in the characters that AWS takes."""

from __future__ import annotations

import hashlib
import re

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.ids import SessionId
from hoopx_broker.terms.leases import Order
from hoopx_broker.terms.people import Principal

MAX_IDENTITY = 64
MAX_TAG = 256
_NOT_IN_NAMES = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NOT_IN_TAGS = re.compile(r"[^\w .:/=+@-]", re.ASCII)
_DIGEST = 8


def session_name(session: SessionId) -> str:
    """Raises `BackendFailed` for what is no session's id: names are derived, never taken from what is stored."""
    if not re.fullmatch(r"[a-z0-9_]{1,40}", session):
        raise BackendFailed(
            "no name of a role session follows from that session id", "the stored lease is damaged: look at the state"
        )
    return f"hoopx-{session}"


def person_of(principal: Principal) -> str:
    """The human where there is one, and whoever asks otherwise."""
    return principal.on_behalf_of or principal.user


def source_identity(principal: Principal) -> str:
    """2 to 64 of what AWS takes. A name that had to be changed ends in its hash, so that no two people share one."""
    return _fitted(person_of(principal), _NOT_IN_NAMES, MAX_IDENTITY, least=2)


def tags_of(order: Order) -> dict[str, str]:
    who = order.principal
    tags = {"hoopx:user": who.user, "hoopx:session": order.session, "hoopx:target": order.target.name}
    if who.on_behalf_of:
        tags["hoopx:on-behalf-of"] = who.on_behalf_of
    return {key: _fitted(value, _NOT_IN_TAGS, MAX_TAG, least=0) for key, value in tags.items()}


def _fitted(text: str, strange: re.Pattern[str], most: int, *, least: int) -> str:
    fitted = strange.sub("_", text)
    if fitted == text and least <= len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    return f"{fitted[: most - _DIGEST - 1]}-{digest}"

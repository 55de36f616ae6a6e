"""Who is asking."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

PrincipalKind = Literal["human", "job", "agent"]


class Principal(Struct, frozen=True):
    """A verified identity. `user` is unique within a broker; `groups` are as the token said at this grant."""

    user: str
    kind: PrincipalKind
    groups: tuple[str, ...] = ()
    issuer: str = ""
    subject: str = ""
    on_behalf_of: str | None = None

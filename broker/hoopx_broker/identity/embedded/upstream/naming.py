"""Which names an upstream may give: never one of another source, so that a name means one person within a broker."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from msgspec import Struct

from hoopx_broker.identity.claims import MAX_NAME
from hoopx_broker.identity.jws import NotAccepted, shown
from hoopx_broker.terms.settings import Upstream


class Names(Struct, frozen=True):
    """`taken` are the names that the configuration itself gives out, to local users and agents."""

    upstreams: Sequence[Upstream]
    taken: frozenset[str]

    @classmethod
    def of(cls, upstreams: Sequence[Upstream], taken: Iterable[str]) -> Names:
        return cls(upstreams, frozenset(map(_folded, taken)))

    def given(self, upstream: Upstream, said: str) -> str:
        """The broker's name of somebody whom `upstream` calls `said`. Raises `NotAccepted`."""
        name = upstream.prefix + said
        if len(name) > MAX_NAME:
            raise NotAccepted(f"the name {shown(name)} is too long with its prefix")
        if not could_give(upstream, name):
            raise NotAccepted(f"`{upstream.name}` may not speak for {shown(said)}: it is in none of its `domains`")
        if _folded(name) in self.taken:
            raise NotAccepted(f"`{upstream.name}` gives the name {shown(name)}, which is a local user's or an agent's")
        if any(could_give(other, name) for other in self.upstreams if other is not upstream):
            raise NotAccepted(f"the name {shown(name)} could be of more than one upstream")
        return name


def could_give(upstream: Upstream, name: str) -> bool:
    """Is this name one that the upstream may give?"""
    folded, prefix = _folded(name), _folded(upstream.prefix)
    if not folded.startswith(prefix):
        return False
    return not upstream.domains or folded.removeprefix(prefix).partition("@")[2] in map(_folded, upstream.domains)


def _folded(name: str) -> str:
    """Names that people take for the same are the same here: `Ann`, `ann` and their full-width twins."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())

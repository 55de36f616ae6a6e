"""All upstreams of an issuer, ready to be gone to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from hoopx_broker.identity.embedded.people import Person
from hoopx_broker.identity.embedded.upstream.answers import Proved, Provider, Through
from hoopx_broker.identity.embedded.upstream.guests import Guests
from hoopx_broker.identity.embedded.upstream.naming import Names
from hoopx_broker.identity.embedded.upstream.oidc import OidcProvider
from hoopx_broker.identity.embedded.upstream.trips import Trips
from hoopx_broker.terms.settings import OidcUpstream, SamlUpstream, Upstream


class Way(Struct, frozen=True):
    """One upstream; `metadata` is what a SAML provider needs to know of us."""

    upstream: Upstream
    provider: Provider
    metadata: str | None = None


class Ways(Struct, frozen=True):
    """`note` hears why an answer was refused, for the broker's log."""

    all: tuple[Way, ...]
    trips: Trips
    guests: Guests
    names: Names
    note: Callable[[str], None]

    @classmethod
    def lay(
        cls,
        upstreams: Sequence[Upstream],
        url: str,
        taken: Iterable[str],
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        note: Callable[[str], None],
    ) -> Ways:
        """`url` is the issuer's name, `taken` the names that the configuration gives out itself."""
        return cls(
            all=tuple(_way(upstream, f"{url}/upstream/{upstream.slug}", clock) for upstream in upstreams),
            trips=Trips(clock, random),
            guests=Guests(clock, note),
            names=Names.of(upstreams, taken),
            note=note,
        )

    def person(self, way: Way, proved: Proved) -> Person:
        """Who somebody is within this broker. Raises `NotAccepted`."""
        name = self.names.given(way.upstream, proved.who.user)
        through = Through(way.upstream.slug, way.upstream.name, proved)
        return Person(name, proved.who.groups, proved.email, through)

    async def again(self, family: str) -> Person | None:
        """Whose login this is by now; None where it has ended. Raises `Unreachable`."""
        return await self.guests.again(family, self._find, self.names)

    def _find(self, slug: str) -> tuple[Upstream, Provider] | None:
        return next(((way.upstream, way.provider) for way in self.all if way.upstream.slug == slug), None)


def _way(upstream: Upstream, url: str, clock: Callable[[], float]) -> Way:
    match upstream:
        case OidcUpstream():
            return Way(upstream, OidcProvider(upstream, f"{url}/callback", clock))
        case SamlUpstream():
            # Only here: the libraries for XML are an extra, and most brokers do without them.
            from hoopx_broker.identity.embedded.upstream.saml import SamlProvider

            provider = SamlProvider(upstream, f"{url}/metadata", f"{url}/callback", clock)
            return Way(upstream, provider, provider.metadata())

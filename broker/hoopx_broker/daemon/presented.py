"""Read what a request brings to say who calls: a token and a proof (RFC 6750 section 2.1, RFC 9449 section 7.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from hoopx_broker.identity.identity import Presented, Scheme
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret

_SCHEMES: dict[str, Scheme] = {"bearer": "bearer", "dpop": "dpop"}
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def presented(authorization: Sequence[str], proofs: Sequence[str], method: str, path: str) -> Presented:
    """From the headers `Authorization` and `DPoP`, each at most once. Raises `Unauthenticated`."""
    scheme, _, token = (authorization[0] if len(authorization) == 1 else "").partition(" ")
    known = _SCHEMES.get(scheme.lower())
    if known is None or not token.strip() or len(proofs) > 1:
        raise Unauthenticated("this call needs a token", "log in with `hoopx login`, or set HOOPX_TOKEN")
    return Presented(Secret(token.strip()), known, proofs[0] if proofs else None, method, path)


def origins(public_url: str, host: str) -> Callable[[str], bool]:
    """Knows the origins under which the broker is reached: its public one, and all of loopback where it listens there.

    What a caller says of itself (`Host`) is not asked: a proof made for another server would be as good as one for us.
    """
    known = {_spelled(public_url)}
    if host in (*_LOOPBACK, "::1"):
        port = urlsplit(public_url).port or 443
        known |= {_spelled(f"https://{name}:{port}") for name in _LOOPBACK}
    return lambda origin: _spelled(origin) in known


def _spelled(origin: str) -> str:
    """One spelling of an origin: with its port, and the host in lower case."""
    scheme, separator, place = origin.partition("://")
    if not separator or "/" in place or "@" in place:
        return ""
    has_port = place.rpartition(":")[2].isdigit() and not place.endswith("]")
    return f"{scheme}://{place.lower()}" + ("" if has_port else ":443")

"""What an OpenID provider says of itself: its endpoints and its ways."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from hoopx_broker.identity.discovery import discovery_url, read_metadata
from hoopx_broker.identity.documents import Fetch, checked_url, is_inside
from hoopx_broker.terms.errors import BadInput, HoopxError, Unreachable


class Description(Struct, frozen=True):
    """The part of a discovery document that a relying party reads."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    scopes_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False

    @property
    def says_issuer(self) -> bool:
        return self.authorization_response_iss_parameter_supported

    @property
    def wants_secret_in_form(self) -> bool:
        methods = self.token_endpoint_auth_methods_supported
        return "client_secret_basic" not in methods and "client_secret_post" in methods

    def scopes(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `wanted` to ask for: some providers refuse `offline_access` altogether, and their list shows it."""
        known = self.scopes_supported
        return tuple(each for each in wanted if each != "offline_access" or known is None or each in known)


async def describe(issuer: str, fetch: Fetch) -> Description:
    """Raises `Unreachable`, also where what comes is not to be believed."""
    try:
        return _read(await fetch(discovery_url(issuer)), issuer)
    except HoopxError as error:
        raise Unreachable(error.message, error.hint) from None


def _read(data: bytes, issuer: str) -> Description:
    read_metadata(data, issuer)
    try:
        description = msgspec.json.decode(data, type=Description)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(f"the discovery document of `{issuer}` is not of a provider to log in at: {error}") from None
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        url = getattr(description, name)
        if url is not None and is_inside(checked_url(url, name)) and not is_inside(issuer):
            raise BadInput(f"the discovery document of `{issuer}` points into this machine", "look at the provider")
    return description

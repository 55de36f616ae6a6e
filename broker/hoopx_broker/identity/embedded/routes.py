"""Everything that the broker's web server mounts for the embedded issuer."""

from __future__ import annotations

from starlette.routing import Route

from hoopx_broker.identity.embedded.device_pages import DevicePages
from hoopx_broker.identity.embedded.endpoints import Endpoints
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.sign_in import SignIn


def routes(issuer: Embedded) -> list[Route]:
    """All routes below `/oidc`, for the root of the application."""
    sign_in = SignIn(issuer)
    return [*Endpoints(issuer).routes(), *sign_in.routes(), *DevicePages(issuer, sign_in).routes()]

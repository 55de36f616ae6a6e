"""Everything that the broker's web server mounts for the embedded issuer."""

from __future__ import annotations

from starlette.routing import Route

from hoopx_broker.identity.embedded.authorize_pages import AuthorizePages
from hoopx_broker.identity.embedded.descriptions import Descriptions
from hoopx_broker.identity.embedded.device_pages import DevicePages
from hoopx_broker.identity.embedded.endpoints import Endpoints
from hoopx_broker.identity.embedded.exchange import Identify, nobody
from hoopx_broker.identity.embedded.issuer import Embedded
from hoopx_broker.identity.embedded.sign_in import SignIn
from hoopx_broker.identity.embedded.upstream_pages import UpstreamPages


def routes(issuer: Embedded, identify: Identify = nobody) -> list[Route]:
    """All routes below `/oidc`, for the root of the application. `identify` checks tokens as the broker's gate does."""
    sign_in = SignIn(issuer)
    return [
        *Descriptions(issuer).routes(),
        *Endpoints(issuer, identify).routes(),
        *sign_in.routes(),
        *UpstreamPages(issuer, sign_in).routes(),
        *DevicePages(issuer, sign_in).routes(),
        *AuthorizePages(issuer, sign_in).routes(),
    ]

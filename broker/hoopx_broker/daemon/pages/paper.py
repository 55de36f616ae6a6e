"""What an answer to a browser is made of: a page under all headers, a way on, and the cookie that names a visit."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hoopx_broker.pages.frame import headers, page

# By TLS alone, to this host alone, never to scripts. `Lax`: a link in a message opens the page that it names.
VISIT, TRIP = "__Host-hoopx", "__Host-hoopx-trip"
HSTS_SECONDS = 31_536_000
_QUIET = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


class Paper:
    """For a broker that people find at `public_url`."""

    def __init__(self, public_url: str) -> None:
        self._more = _by_tls_alone(urlsplit(public_url).hostname or "")

    def page(
        self, title: str, body: Markup, *, status: int = 200, top: Markup = Markup(), wide: bool = True
    ) -> Response:
        return self.html(page(title, body, top=top, wide=wide), status)

    def html(self, document: str, status: int = 200) -> Response:
        """A document that is whole already."""
        return HTMLResponse(document, status, headers() | self._more)

    def onward(self, path: str) -> Response:
        """By GET, whatever came before; `path` is one of ours."""
        return RedirectResponse(path, 303, _QUIET | self._more)


def set_cookie(response: Response, name: str, value: str, seconds: float) -> None:
    """An empty value takes it away."""
    life = max(1, int(seconds)) if value else 0
    response.set_cookie(name, value, life, path="/", secure=True, httponly=True, samesite="lax")


def _by_tls_alone(host: str) -> dict[str, str]:
    """HSTS, but for this machine: what stands on other ports of `localhost` would be shut out with us."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        is_own = host == "localhost" or host.endswith(".localhost")
        return {} if is_own else {"strict-transport-security": f"max-age={HSTS_SECONDS}"}
    return {}  # browsers hear it of names alone

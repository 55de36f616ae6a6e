"""What a command is handed: its settings, the broker's API, the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hoopx_cli import settings as settings_room
from hoopx_cli.caller import Caller
from hoopx_cli.lazily import lazily
from hoopx_cli.output import Output
from hoopx_cli.settings import Flags, Settings

if TYPE_CHECKING:
    import ssl

    from hoopx_cli.api import Api
    from hoopx_cli.credential import Credential
    from hoopx_cli.keyring import Logins
    from hoopx_cli.signin import Trust


class Kit:
    """Made once per process. What costs time, a file or a network is made when a command first asks for it."""

    def __init__(self, environ: Mapping[str, str], output: Output) -> None:
        self.environ = environ
        self.out = output
        self.flags = Flags()
        # What stood behind `--` on the command line, None where there was no `--`.
        self.child: tuple[str, ...] | None = None
        self.caller = Caller(self)

    @lazily
    def settings(self) -> Settings:
        return settings_room.read(self.flags, self.environ)

    @lazily
    def tls(self) -> ssl.SSLContext:
        from hoopx_cli import trust

        return trust.context(self.settings)

    @lazily
    def tunnel_tls(self) -> ssl.SSLContext:
        """For the tunnels of this process alone, which bear a name: other calls go to whichever part of the broker."""
        from hoopx_broker.tunnel.client import named
        from hoopx_cli import trust

        return named(trust.context(self.settings))

    @lazily
    def api(self) -> Api:
        # HTTP and TLS are two thirds of what is left to load, and a page of help has no use for them.
        from hoopx_cli.api import Api

        return Api(self.settings, self.tls, self.credential)

    @property
    def logins(self) -> Logins:
        # The keyring room looks at the machine's keyrings, which a job with HOOPX_TOKEN has no use for.
        from hoopx_cli.keyring import Logins

        return Logins(self.settings.home, self.out.insist)

    @property
    def trust(self) -> Trust:
        """Whom to believe as an identity provider."""
        from hoopx_cli.signin import issuer_trust

        return issuer_trust(self.settings.broker, self.tls)

    def take_back(self, request: str) -> None:
        """Cancel a request that this process has filed. Raises a `HoopxError` where it is decided already."""
        self.api.vote(request, "cancel", "")

    def credential(self) -> Credential:
        """What a call to the broker carries. Raises `Unauthenticated`, or `Denied` for an agent without its own."""
        return self.caller.credential()

"""What a command is handed: its settings, the broker's API, the output."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.secret import Secret
from hoopx_cli import settings as settings_room
from hoopx_cli import trust
from hoopx_cli.api import Api
from hoopx_cli.output import Output
from hoopx_cli.settings import Flags, Settings

if TYPE_CHECKING:
    from hoopx_broker.api.proof import ProofKey
    from hoopx_cli.client_credentials import Agent
    from hoopx_cli.credential import Credential
    from hoopx_cli.keyring import Login, Logins
    from hoopx_cli.signin import Trust
    from hoopx_cli.workload import Workload


class Kit:
    """Made once per process. What costs time, a file or a network is made when a command first asks for it."""

    def __init__(self, environ: Mapping[str, str], output: Output) -> None:
        self.environ = environ
        self.out = output
        self.flags = Flags()
        # What stood behind `--` on the command line, None where there was no `--`.
        self.child: tuple[str, ...] | None = None
        # The kept login that the last credential came from; None where it came from elsewhere.
        self.login: Login | None = None

    @cached_property
    def settings(self) -> Settings:
        return settings_room.read(self.flags, self.environ)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return trust.context(self.settings)

    @cached_property
    def api(self) -> Api:
        return Api(self.settings, self.tls, self.credential)

    @property
    def logins(self) -> Logins:
        # The keyring room looks at the machine's keyrings, which a job with HOOPX_TOKEN has no use for.
        from hoopx_cli.keyring import Logins

        return Logins(self.settings.home, self.out.insist)

    @cached_property
    def _process_key(self) -> ProofKey:
        """The key of this process, for tokens that are bound to no key: it binds the sessions opened with them."""
        from hoopx_broker.api.proof import ProofKey

        return ProofKey.create()

    @property
    def trust(self) -> Trust:
        """Whom to believe as an identity provider."""
        from hoopx_cli.signin import issuer_trust

        return issuer_trust(self.settings.broker, self.tls)

    @cached_property
    def _agent(self) -> Agent | None:
        """The program that the environment has credentials of. Cryptography and HTTP wait until there is one."""
        if not any(name.startswith("HOOPX_CLIENT_") for name in self.environ):
            return None
        from hoopx_cli import client_credentials as room

        client = room.of_environment(self.environ)
        if client is None:
            return None
        return room.Agent(client, lambda: room.place_at(client, self.settings.broker, self.api.about()), self.trust)

    def credential(self) -> Credential:
        """What a call to the broker carries. Raises `Unauthenticated`, or `Denied` for an agent without its own.

        A token of the environment, else the program whose credentials stand there, else the job that runs us, else the
        kept login. `--account` means the kept login of that user whatever the environment says.
        """
        # Cryptography costs 30 ms, which commands that call nobody need not wait for.
        from hoopx_cli.credential import Credential

        if self.settings.token is not None:
            return Credential(self.settings.token, self._process_key, "Bearer")
        if not self.settings.insists and self._agent is not None:
            return self._agent.credential()
        if self.environ.get("HOOPX_AGENT"):
            raise Denied(
                "an agent does not act as the person whose login is kept here",
                "use the connections of your environment; HOOPX_AGENT_INSTRUCTIONS names a file that tells of them",
            )
        if not self.settings.insists and self._workload is not None:
            token = self._token_of_job(self._workload)
            if token is not None:
                return Credential(token, self._process_key, "Bearer")
        self.login = self._fresh()
        return credential_of(self.login)

    @cached_property
    def _workload(self) -> Workload | None:
        """The job that this process is, where it is one."""
        from hoopx_cli import workload

        source = workload.find(self.environ)
        if source is None:
            return None
        named = self.environ.get("HOOPX_AUDIENCE")
        return workload.Workload(source, self.settings.broker, self.api.about, named)

    def _token_of_job(self, workload: Workload) -> Secret | None:
        """None where the job has none for this broker, but a person is logged in here: a pod to work in, a laptop."""
        from hoopx_cli.workload_source import NoJobToken

        try:
            return workload.token()
        except NoJobToken as lack:
            if self.logins.get(self.settings.broker) is None:
                raise
            self.out.say(f"{lack.message}; acting as the login that is kept here")
            return None

    def _fresh(self) -> Login:
        """One process acts as one person: whoever is chosen meanwhile is for the commands that begin then."""
        from hoopx_cli.renewal import fresh, holds

        if self.login is not None and holds(self.login):
            return self.login
        account = self.login.user if self.login is not None and self.login.user else self.settings.account
        return fresh(self.settings.broker, account, self.logins, self.trust)


def credential_of(login: Login) -> Credential:
    """What goes with a call as that person: the broker binds the token to the key, where the provider has not."""
    from hoopx_cli.credential import Credential
    from hoopx_cli.signin import key_of

    return Credential(login.bearer, key_of(login), "DPoP")


def kit_of(context: typer.Context) -> Kit:
    kit = context.find_object(Kit)
    if kit is None:
        raise TypeError("a command was started without its kit")
    return kit

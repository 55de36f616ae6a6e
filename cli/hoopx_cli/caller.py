"""Who this process is to the broker: as the environment says, the job that runs it, or who logged in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hoopx_broker.terms.errors import Denied
from hoopx_broker.terms.secret import Secret
from hoopx_cli.lazily import lazily

if TYPE_CHECKING:
    from hoopx_broker.api.proof import ProofKey
    from hoopx_cli.client_credentials import Agent
    from hoopx_cli.credential import Credential
    from hoopx_cli.keyring import Login
    from hoopx_cli.kit import Kit
    from hoopx_cli.workload import Workload


class Caller:
    """Stays who it was found to be. What costs time is imported when it is needed: cryptography alone takes 30 ms."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        # The kept login that the last credential came from; None where it came from elsewhere.
        self.login: Login | None = None

    def credential(self) -> Credential:
        """Raises `Unauthenticated`, or `Denied` for an agent without its own.

        A token of the environment, else the program whose credentials stand there, else the job that runs us, else the
        kept login. `--account` means the kept login of that user whatever the environment says.
        """
        from hoopx_cli.credential import Credential

        if self._kit.settings.token is not None:
            return Credential(self._kit.settings.token, self._process_key, "Bearer")
        if not self._kit.settings.insists and self._agent is not None:
            return self._agent.credential()
        if self._kit.environ.get("HOOPX_AGENT"):
            raise Denied(
                "an agent does not act as the person whose login is kept here",
                "use the connections of your environment; HOOPX_AGENT_INSTRUCTIONS names a file that tells of them",
            )
        if not self._kit.settings.insists and self._workload is not None:
            token = self._token_of_job(self._workload)
            if token is not None:
                return Credential(token, self._process_key, "Bearer")
        self.login = self._fresh()
        return credential_of(self.login)

    @lazily
    def _workload(self) -> Workload | None:
        """The job that this process is, where it is one."""
        from hoopx_cli import workload

        source = workload.find(self._kit.environ)
        if source is None:
            return None
        named = self._kit.environ.get("HOOPX_AUDIENCE")
        return workload.Workload(source, self._kit.settings.broker, self._kit.api.about, named)

    def _token_of_job(self, workload: Workload) -> Secret | None:
        """None where the job has none for this broker, but a person is logged in here: a pod to work in, a laptop."""
        from hoopx_cli.workload_source import NoJobToken

        try:
            return workload.token()
        except NoJobToken as lack:
            if self._kit.logins.get(self._kit.settings.broker) is None:
                raise
            self._kit.out.say(f"{lack.message}; acting as the login that is kept here")
            return None

    def _fresh(self) -> Login:
        """One process acts as one person: whoever is chosen meanwhile is for the commands that begin then."""
        from hoopx_cli.renewal import fresh, holds

        if self.login is not None and holds(self.login):
            return self.login
        account = self.login.user if self.login is not None and self.login.user else self._kit.settings.account
        return fresh(self._kit.settings.broker, account, self._kit.logins, self._kit.trust)

    @lazily
    def _agent(self) -> Agent | None:
        """The program that the environment has credentials of. Cryptography and HTTP wait until there is one."""
        if not any(name.startswith("HOOPX_CLIENT_") for name in self._kit.environ):
            return None
        from hoopx_cli import client_credentials as room

        client = room.of_environment(self._kit.environ)
        if client is None:
            return None
        broker, about = self._kit.settings.broker, self._kit.api.about
        return room.Agent(client, lambda: room.place_at(client, broker, about()), self._kit.trust)

    @lazily
    def _process_key(self) -> ProofKey:
        """The key of this process, for tokens that are bound to no key: it binds the sessions opened with them."""
        from hoopx_broker.api.proof import ProofKey

        return ProofKey.create()


def credential_of(login: Login) -> Credential:
    """What goes with a call as that person: the broker binds the token to the key, where the provider has not."""
    from hoopx_cli.credential import Credential
    from hoopx_cli.signin import key_of

    return Credential(login.bearer, key_of(login), "DPoP")

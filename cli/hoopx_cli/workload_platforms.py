"""Ask Buildkite, CircleCI or a SPIFFE Workload API for a token of this job."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence

from hoopx_broker.terms.errors import Unreachable
from hoopx_broker.terms.secret import Secret
from hoopx_cli.inert import inert
from hoopx_cli.unverified import MAX_TOKEN, audiences_of
from hoopx_cli.workload_source import NoJobToken

ASK_SECONDS = 30  # an agent asks its service, and that a second time when it stumbles


class _Asked:
    """A source that can be asked for any audience."""

    name = ""
    audiences: tuple[str, ...] | None = None

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def misses(self, audience: str) -> NoJobToken:
        return NoJobToken(f"{self.name} gave a token for another audience than it was asked for", "look at its agent")


class Buildkite(_Asked):
    """The agent that runs the job."""

    name = "Buildkite"

    def may_be_of(self, issuer: str) -> bool:
        return issuer == "https://agent.buildkite.com"

    def fetch(self, audience: str) -> Secret:
        command = ["buildkite-agent", "oidc", "request-token", "--audience", audience]
        return _printed(command, self._environ, self.name)


class CircleCI(_Asked):
    """The command of its job images; without it only the token that every job has, which is for the organization."""

    name = "CircleCI"

    def may_be_of(self, issuer: str) -> bool:
        organization = self._environ.get("CIRCLE_ORGANIZATION_ID")
        if organization:
            return issuer == f"https://oidc.circleci.com/org/{organization}"
        return issuer.startswith("https://oidc.circleci.com/org/")

    def fetch(self, audience: str) -> Secret:
        ready = Secret(self._environ.get("CIRCLE_OIDC_TOKEN_V2", ""))
        if audiences_of(ready) == (audience,):
            return ready
        return _printed(
            ["circleci", "run", "oidc", "get", "--claims", json.dumps({"aud": audience})], self._environ, self.name
        )


class Spiffe(_Asked):
    """The Workload API at SPIFFE_ENDPOINT_SOCKET, which SPIRE's agent serves."""

    name = "SPIFFE"

    def may_be_of(self, issuer: str) -> bool:
        return issuer.startswith("spiffe://")

    def fetch(self, audience: str) -> Secret:
        try:
            # gRPC costs 300 ms, and only those who ask a Workload API have it.
            from spiffe import WorkloadApiClient
            from spiffe.errors import PySpiffeError
        except ImportError:
            raise NoJobToken(
                "this hoopx cannot ask the Workload API at SPIFFE_ENDPOINT_SOCKET",
                "install `hoopx[spiffe]`, or let spiffe-helper write a token and name it by HOOPX_TOKEN_FILE",
            ) from None
        try:
            with WorkloadApiClient(self._environ["SPIFFE_ENDPOINT_SOCKET"], default_timeout=ASK_SECONDS) as client:
                return Secret(client.fetch_jwt_svid(audience={audience}).token)
        except PySpiffeError as error:
            raise Unreachable(
                f"the Workload API gives no token: {inert(str(error))[:200]}",
                "is this workload registered, and is SPIFFE_ENDPOINT_SOCKET the agent's socket?",
            ) from None


def _printed(command: Sequence[str], environ: Mapping[str, str], name: str) -> Secret:
    """The token that a command prints, within bounds of size and time. What it prints else is not repeated."""
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None:
        raise NoJobToken(
            f"this job of {name} has no `{command[0]}`, which gives tokens", "use an image that has it on its PATH"
        )
    with subprocess.Popen(
        [program, *command[1:]],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        limit = threading.Timer(ASK_SECONDS, process.kill)
        limit.start()
        try:
            assert process.stdout is not None
            printed = process.stdout.read(MAX_TOKEN + 1)
            process.stdout.close()
            code = process.wait()
        finally:
            limit.cancel()
            process.kill()
    token = Secret(printed.decode("ascii", "replace").strip())
    if code != 0 or not audiences_of(token):
        hint = "run the command in the job by hand to see why"
        raise Unreachable(f"`{command[0]}` gives no token (it left with {code})", hint)
    return token

"""Providers of organisations at which people of the embedded issuer log in: one of OpenID Connect, one of SAML."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
from msgspec import Struct

from tests.peers import found
from tests.peers.oidc import PASSWORD
from tests.peers.processes import bound_to_us

# The client that `oidc_provider/provider.mjs` knows under `RETURN_URI`.
OIDC_CLIENT, OIDC_SECRET = "hoopx-broker", "federation"


class OidcUpstream(Struct, frozen=True):
    """npm `oidc-provider`, where `ann` (developers) and `dora` (dba, developers) have accounts."""

    url: str

    def set_groups(self, person: str, groups: Sequence[str]) -> None:
        self._control("groups", {"person": person, "groups": list(groups)})

    def take_out(self, person: str) -> None:
        self._control("take-out", {"person": person})

    def _control(self, what: str, body: dict[str, object]) -> None:
        httpx2.post(f"{self.url}/control/{what}", json=body, trust_env=False).raise_for_status()


class SamlUpstream(Struct, frozen=True):
    """npm `samlp`, with the same people; its login form has a field `variant` that makes an answer dishonest."""

    url: str

    def metadata(self) -> str:
        return httpx2.get(f"{self.url}/metadata", trust_env=False).raise_for_status().text


@contextmanager
def oidc_upstream(return_uri: str) -> Iterator[OidcUpstream]:
    found.require("node")
    found.require("oidc-provider")
    with _node(found.PEER_PROVIDER, RETURN_URI=return_uri) as said:
        yield OidcUpstream(said["issuer"])


@contextmanager
def saml_upstream() -> Iterator[SamlUpstream]:
    found.require("node")
    found.require("saml provider")
    with _node(found.SAML_PROVIDER, PASSWORD=PASSWORD) as said:
        yield SamlUpstream(said["url"])


@contextmanager
def _node(home: Path, **environ: str) -> Iterator[dict[str, str]]:
    """Run the `provider.mjs` of a directory; what it says when it is ready."""
    given = os.environ | {"NO_UPDATE_NOTIFIER": "1"} | environ
    command = [*bound_to_us(), "node", "provider.mjs"]
    with subprocess.Popen(command, cwd=home, env=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()

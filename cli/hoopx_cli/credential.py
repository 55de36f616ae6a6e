"""What a call to the broker carries: a token, and a proof of the key that it goes with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from hoopx_broker.api.proof import ProofKey
from hoopx_broker.terms.secret import Secret


class Credential(Struct, frozen=True):
    """`DPoP` is for a token that is bound to the key; `Bearer` for one that a job was given.

    A bearer's proof does not bind the token, which may be used by other processes of the job. It binds the session
    that is opened with it: the session's grant is worth nothing without the key.
    """

    token: Secret
    key: ProofKey
    scheme: Literal["DPoP", "Bearer"]

    def headers(self, method: str, url: str, clock: Callable[[], float] = time.time) -> dict[str, str]:
        """For one request: the proof holds for this method and URL, once, and for a minute."""
        return {
            "Authorization": f"{self.scheme} {self.token.reveal()}",
            "DPoP": self.key.prove(method, url, clock(), self.token),
        }

    def of_grant(self, grant: Secret) -> Credential:
        """The same key with the grant of a session that it opened."""
        return Credential(grant, self.key, "DPoP")

"""What gives a job its token: one shape for what runners, clusters and agents do in their own ways."""

from __future__ import annotations

from typing import Protocol

from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.secret import Secret


class NoJobToken(Unauthenticated):
    """This process is, or seems to be, a job, but has no token that this broker takes."""


class Source(Protocol):
    """`name` as in "a token of NAME". `audiences` is None where a token can be asked for any one."""

    name: str

    @property
    def audiences(self) -> tuple[str, ...] | None:
        """For whom the token is that the job was given."""

    def may_be_of(self, issuer: str) -> bool:
        """Could that issuer, as the broker names it, be who signs the tokens of this source?"""

    def fetch(self, audience: str) -> Secret:
        """A token, if possible for this audience. Raises `NoJobToken` or `Unreachable`."""

    def misses(self, audience: str) -> NoJobToken:
        """What to say where the token is not for this audience."""

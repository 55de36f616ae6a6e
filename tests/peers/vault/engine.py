"""What a secrets engine or login method of the double is, and the call that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tests.peers.vault.answers import Answer, Json, Refused, Request
from tests.peers.vault.state import Lease, Mount, Namespace, Token

if TYPE_CHECKING:
    from tests.peers.vault.core import Core


class Call(NamedTuple):
    """A routed request: `path` is what is left after the mount, `mounted` where it is ("auth/jwt/", "db/")."""

    request: Request
    namespace: Namespace
    mount: Mount
    mounted: str
    path: str
    token: Token | None

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def name(self) -> str:
        """The last part of the path: of which role, user or policy it speaks."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def owner(self) -> Token:
        """Whose request it is, where only a token gets this far."""
        if self.token is None:
            raise Refused(403, "permission denied")
        return self.token


class Engine:
    """What a secrets engine or login method is to the core."""

    open: ClassVar[tuple[str, ...]] = ()  # paths that need no token
    core: Core  # set before the first call

    def handle(self, call: Call) -> Answer:
        raise NotImplementedError

    def is_there(self, call: Call) -> bool:
        """Would a write change something? Where not, it needs the capability `create`."""
        return True

    def renew(self, mount: Mount, lease: Lease, ends: float) -> None:
        """Let what the lease stands for live until `ends`."""

    def revoke(self, mount: Mount, lease: Lease) -> None:
        """End what the lease stands for; raise where it cannot be ended."""

    def close(self) -> None:
        """The double stops."""

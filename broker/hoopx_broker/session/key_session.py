"""A session whose keys its client holds: handed out, renewed, and worth nothing once the lease is over."""

from __future__ import annotations

from hoopx_broker.api.messages import Keys
from hoopx_broker.session.leasing import handed_out
from hoopx_broker.session.live import LiveSession, Parts, Surface
from hoopx_broker.terms.leases import AwsKeys, Credential, Lease


class KeySession(LiveSession):
    """Nothing of what the keys are used for passes through the broker: it knows when it gave them, and until when."""

    def __init__(self, parts: Parts, surface: Surface, lease: Lease, keys: AwsKeys) -> None:
        super().__init__(parts, surface)
        self._made = lease
        self._keys: AwsKeys | None = keys

    def renew(self, credential: Credential) -> None:
        """The client is given the new ones at once. Raises `RecordingFailed`."""
        if not isinstance(credential, AwsKeys):
            raise TypeError(f"the source of `{self.target.name}` gave something else than keys")
        if self.is_ending:
            return
        self._keys = credential
        if (given := self.hand_out()) is not None:
            self.settle(lambda: self._notify(given), lambda _: None)  # where that fails, the session ends by itself

    def hand_out(self) -> Keys | None:
        """Written, then to be sent when that is settled. None when the session is over. Raises `RecordingFailed`."""
        keys = self._keys
        if keys is None:
            return None
        lease = self.tenure.lease if self.tenure is not None else self._made
        self.record([handed_out(lease, keys.access_key_id)])
        token = keys.session_token.reveal() if keys.session_token is not None else ""
        secret = keys.secret_access_key.reveal()
        return Keys(keys.access_key_id, secret, token, self.target.region, lease.expires_at)

    def cut(self, reason: str) -> None:
        self._keys = None

    async def let_go(self) -> None:
        """Its lease was all it held."""

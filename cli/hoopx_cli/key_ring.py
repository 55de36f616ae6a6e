"""The keys of an AWS session as the laptop holds them: in memory, the newest only, gone when the session is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from hoopx_broker.api.messages import Keys
from hoopx_broker.terms.secret import Secret


class HeldKeys(Struct, frozen=True):
    """As the broker sent them. `expires_at` is in seconds since the Unix epoch."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret
    region: str
    expires_at: float

    @classmethod
    def of(cls, keys: Keys) -> HeldKeys:
        secret, token = Secret(keys.secret_access_key), Secret(keys.session_token)
        return cls(keys.access_key_id, secret, token, keys.region, keys.expires_at)

    @property
    def expiration(self) -> str:
        """As AWS writes times."""
        return datetime.fromtimestamp(self.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def process_document(self) -> dict[str, Any]:
        """What a `credential_process` prints: Version 1 of AWS's documentation."""
        return {
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key.reveal(),
            **({"SessionToken": self.session_token.reveal()} if self.session_token.reveal() else {}),
            "Expiration": self.expiration,
        }

    def container_document(self) -> dict[str, Any]:
        """What an endpoint of AWS_CONTAINER_CREDENTIALS_FULL_URI answers."""
        return {
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key.reveal(),
            "Token": self.session_token.reveal(),
            "Expiration": self.expiration,
        }


# The newest keys of a session; None when it is over.
Newest = Callable[[], HeldKeys | None]

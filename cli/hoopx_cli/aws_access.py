"""How local programs use an AWS session: environments for children, and what `hoopx connect` prints."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from hoopx_cli.key_endpoint import KeyEndpoint
from hoopx_cli.key_ring import HeldKeys, Newest

# What a caller's environment may hold that would win over the session's keys, or lead to others.
_CONFLICTING = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|CREDENTIAL_EXPIRATION|CREDENTIAL_FILE|PROFILE|"
    r"DEFAULT_PROFILE|CONTAINER_\w+|WEB_IDENTITY_TOKEN_FILE|ROLE_ARN|ROLE_SESSION_NAME|REGION|DEFAULT_REGION|"
    r"CONFIG_FILE|SHARED_CREDENTIALS_FILE|BEARER_TOKEN_\w+|CREDENTIAL_PROCESS|EC2_METADATA_DISABLED)|BOTO_CONFIG"
)
# Keys that end so shortly before the session that nobody would fetch new ones.
SLACK_SECONDS = 30


class AwsAccess(Struct, frozen=True):
    """One session's keys, where SDKs fetch them, and when the session itself ends."""

    target: str
    session: str
    region: str
    expires_at: float
    newest: Newest
    endpoint: KeyEndpoint

    def variables(self) -> dict[str, str]:
        """For a child: the keys themselves where they last as long as the session, else where to fetch them."""
        keys = self.newest()
        place = {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        if keys is None or keys.expires_at < self.expires_at - SLACK_SECONDS:
            return place | self.endpoint.variables()
        return place | _static(keys)

    def lines(self) -> list[str]:
        """For any program: variables as `env` takes them. They hold no keys, and lead nowhere after the session."""
        return [f"{name}={value}" for name, value in self.places().items()]

    def places(self) -> dict[str, str]:
        """Where keys are fetched, as variables."""
        return {**self.endpoint.variables(), "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}

    def document(self) -> dict[str, Any]:
        """The stable JSON form."""
        return {
            "target": self.target,
            "session": self.session,
            "region": self.region,
            "endpoint": self.endpoint.url,
            "token": self.endpoint.token.reveal(),
            "expires_at": self.expires_at,
        }


def aws_environment(environ: Mapping[str, str], accesses: Sequence[AwsAccess], config: str) -> dict[str, str]:
    """`environ` cleared of other ways to AWS, with the way to each target; `config` is the child's own file of it.

    One account is what `AWS_*` means. With several, each is a profile of its target's name, and nothing is the default.
    """
    if not accesses:
        return dict(environ)
    kept = {name: value for name, value in environ.items() if not _CONFLICTING.fullmatch(name)}
    closed = {
        "AWS_CONFIG_FILE": config,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return kept | closed | (accesses[0].variables() if len(accesses) == 1 else {})


def _static(keys: HeldKeys) -> dict[str, str]:
    token = keys.session_token.reveal()
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key.reveal(),
        "AWS_CREDENTIAL_EXPIRATION": keys.expiration,
        **({"AWS_SESSION_TOKEN": token} if token else {}),
    }

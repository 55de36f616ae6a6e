"""A login kept in AWS Secrets Manager, read at each opening: whoever rotates it there need not tell the broker."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, Issued, Lease, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import account_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_stored import StoredLoginOptions, login_in

_NAME = "aws-secretsmanager"


class AwsSecretsManagerOptions(StoredLoginOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`secret` is its name or ARN. It holds what RDS's own rotation writes, or what the other options say."""

    secret: Annotated[str, Meta(min_length=1, max_length=2048)]
    version_stage: Annotated[str, Meta(min_length=1, max_length=256)] = "AWSCURRENT"


class AwsSecretsManagerIssuer:
    """All sessions share the login; at their end the broker cuts its connections, and the login goes on to exist."""

    Options: ClassVar[type[AwsSecretsManagerOptions]] = AwsSecretsManagerOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = False

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """The login as it is stored at this moment; the handle says which version it was."""
        options: AwsSecretsManagerOptions = order.target.credentials
        answer = await _caller(order.target).ask(
            "secretsmanager",
            lambda manager: manager.get_secret_value(SecretId=options.secret, VersionStage=options.version_stage),
            role=options.role,
            external_id=options.external_id,
        )
        text = answer.get("SecretString")
        if text is None:
            raise BackendFailed(
                f"the secret `{options.secret}` for target `{order.target.name}` is binary", "store it as a text"
            )
        login = login_in(text, options, _NAME, order.target)
        return Issued(login, {"secret": answer["ARN"], "version": answer.get("VersionId", "")})

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The login as it is stored by now: it may have been rotated."""
        return await self.issue(order, pin)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Nothing to revoke: the login was there before the session, and others may be using it."""


def _caller(target: Target) -> Caller:
    name = target.credentials.secret
    meanings = {
        "ResourceNotFoundException": (
            f"there is no secret `{name}` with that `version_stage`",
            "correct `secret`, and see whether `aws.region` is the one where it lies",
        ),
        "DecryptionFailure": ("AWS cannot decrypt the secret", "allow `kms:Decrypt` on its key to the broker"),
        "InvalidRequestException": (f"the secret `{name}` is to be deleted", "restore it, or name another one"),
    }
    return Caller(_NAME, target, account_of(target.credentials.aws), meanings)

"""A login kept in AWS Secrets Manager, read at each opening: whoever rotates it there need not tell the broker."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import account_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_stored import StoredLoginOptions, StoredLogins, login_in

_NAME = "aws-secretsmanager"


class AwsSecretsManagerOptions(StoredLoginOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`secret` is its name or ARN. It holds what RDS's own rotation writes, or what the other options say."""

    secret: Annotated[str, Meta(min_length=1, max_length=2048)]
    version_stage: Annotated[str, Meta(min_length=1, max_length=256)] = "AWSCURRENT"


class AwsSecretsManagerIssuer(StoredLogins):
    """Read as it is kept there."""

    Options: ClassVar[type[AwsSecretsManagerOptions]] = AwsSecretsManagerOptions

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

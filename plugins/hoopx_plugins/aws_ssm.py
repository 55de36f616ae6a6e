"""A login kept in the Parameter Store of AWS Systems Manager, read at each opening."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import Issued, Order
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import account_of
from hoopx_plugins.aws_calls import Caller
from hoopx_plugins.aws_stored import StoredLoginOptions, StoredLogins, login_in

_NAME = "aws-ssm"


class AwsSsmOptions(StoredLoginOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`parameter` is its name, path or ARN."""

    parameter: Annotated[str, Meta(min_length=1, max_length=2048)]


class AwsSsmIssuer(StoredLogins):
    """Read as it is kept there."""

    Options: ClassVar[type[AwsSsmOptions]] = AwsSsmOptions

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """The login as it is stored at this moment, decrypted; the handle says which version it was."""
        options: AwsSsmOptions = order.target.credentials
        answer = await _caller(order.target).ask(
            "ssm",
            lambda ssm: ssm.get_parameter(Name=options.parameter, WithDecryption=True),
            role=options.role,
            external_id=options.external_id,
        )
        found = answer["Parameter"]
        login = login_in(found["Value"], options, _NAME, order.target)
        return Issued(login, {"parameter": found["Name"], "version": str(found["Version"])})


def _caller(target: Target) -> Caller:
    name = target.credentials.parameter
    absent = (f"there is no parameter `{name}`", "correct `parameter`, and see whether `aws.region` is where it lies")
    meanings = {
        "ParameterNotFound": absent,
        "ParameterVersionNotFound": absent,
        "InvalidKeyId": ("AWS cannot decrypt the parameter", "allow `kms:Decrypt` on its key to the broker"),
    }
    return Caller(_NAME, target, account_of(target.credentials.aws), meanings)

"""Log in to RDS and Aurora by IAM: each connection with a token of its own, which the broker signs by itself."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Credential, DatabaseLogin, Issued, Lease, Order
from hoopx_broker.terms.secret import Secret
from hoopx_broker.terms.targets import Target
from hoopx_plugins.aws_account import AwsAccount, account_of, check_external_id, check_role
from hoopx_plugins.aws_calls import Caller

_NAME = "aws-rds-iam"


class AwsRdsIamOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """`user` is the database's, which may log in by IAM. `role` is assumed first, where not the broker itself may.

    `host` and `port` are the instance's own, where the target's address is another name for it.
    """

    user: Annotated[str, Meta(min_length=1, max_length=63)]
    aws: AwsAccount | None = None
    role: str | None = None
    external_id: str | None = None
    host: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None

    def __post_init__(self) -> None:
        account_of(self.aws)
        if self.role is not None:
            check_role(self.role)
        check_external_id(self.external_id, self.role)


class AwsRdsIamIssuer:
    """The user is there before the session and after it, so there is nothing to make and nothing to revoke."""

    Options: ClassVar[type[AwsRdsIamOptions]] = AwsRdsIamOptions
    kinds: ClassVar[frozenset[str]] = frozenset({"postgres", "mysql"})
    exclusive: ClassVar[bool] = False

    async def issue(self, order: Order, pin: Pin) -> Issued:
        """A login whose token lets in for 15 minutes; later connections get others by `fresh`."""
        return Issued(await self._login(order.target))

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """The same user: it has no end of its own, and each connection gets its own token anyway."""
        return Issued(await self._login(order.target), lease.handle)

    async def fresh(self, credential: Credential, target: Target) -> DatabaseLogin:
        """A new token. AWS is asked only where the broker's own credentials are about to end."""
        return await self._login(target)

    async def revoke(self, lease: Lease, target: Target) -> None:
        """Nothing is left: the broker has cut the connections, and nobody else has had a token."""

    async def _login(self, target: Target) -> DatabaseLogin:
        options: AwsRdsIamOptions = target.credentials
        if target.tls.mode not in ("verify-ca", "verify-full"):
            raise BackendFailed(
                f"the source `{_NAME}` of target `{target.name}` sends its token in the clear, inside of TLS, and"
                f" nobody verifies the server in the mode `{target.tls.mode}`",
                "write `tls: {mode: verify-full, ca: …}` with AWS's bundle of authorities for RDS",
            )
        account = account_of(options.aws)
        host, port = options.host or target.host, options.port or target.port
        token = await Caller(_NAME, target, account).ask(
            "rds",
            lambda rds: rds.generate_db_auth_token(host, port, options.user, account.region),
            role=options.role,
            external_id=options.external_id,
        )
        return DatabaseLogin(options.user, Secret(token))

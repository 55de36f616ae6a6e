"""Keys of an AWS role for each session: bound by a session policy, named after the person, and short."""

from __future__ import annotations

from typing import Any, ClassVar

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.leases import Credential, Issued, Lease, Order
from hoopx_plugins.aws_account import AwsAccount, account_of, check_external_id
from hoopx_plugins.aws_names import source_identity, tags_of
from hoopx_plugins.aws_sessions import RoleOptions, RoleSessions, ends_at, issued_from, made, pinned
from hoopx_plugins.aws_times import CHAINED_SECONDS, seconds_of


class AwsAssumeRoleOptions(RoleOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`external_id` is what the role's trust policy asks for.

    Where that policy does not allow `tags` or `source_identity`, they are `off`, and AWS does not know the person.
    """

    external_id: str | None = None
    tags: bool = True
    source_identity: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_external_id(self.external_id, self.role)
        check_duration(self.max_duration, account_of(self.aws))


class AwsAssumeRoleIssuer(RoleSessions):
    """The broker's own credentials assume the role."""

    name: ClassVar[str] = "aws-assume-role"
    Options: ClassVar[type[AwsAssumeRoleOptions]] = AwsAssumeRoleOptions

    async def issue(self, order: Order, pin: Pin) -> Issued:
        request, caller = self._request(order), self._caller(order.target)
        handle = self._pinned(order, request)
        answer = await made(pin, handle, lambda: caller.ask("sts", lambda sts: sts.assume_role(**request)))
        return issued_from(answer, request["RoleArn"], order)

    async def renew(self, lease: Lease, credential: Credential, order: Order, pin: Pin) -> Issued:
        """New keys for the same session; the old ones live until their own end."""
        request, before = self._request(order), ends_at(lease)
        end = max(self._clock() + request["DurationSeconds"], before)
        await pin(lease.handle | pinned(request["RoleArn"], order, end))
        answer = await self._caller(order.target).ask("sts", lambda sts: sts.assume_role(**request))
        return issued_from(answer, request["RoleArn"], order, before)

    def _request(self, order: Order) -> dict[str, Any]:
        request, options = super()._request(order), order.target.credentials
        if options.external_id is not None:
            request["ExternalId"] = options.external_id
        if options.source_identity:
            request["SourceIdentity"] = source_identity(order.principal)
        if options.tags:
            tags = tags_of(order)
            request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
            request["TransitiveTagKeys"] = list(tags)
        return request


def check_duration(written: str, account: AwsAccount) -> None:
    """Raises `ValueError`."""
    if seconds_of(written) > CHAINED_SECONDS and account.role is not None:
        raise ValueError("`max_duration` is at most `1h` behind `aws.role`: AWS gives no more to a role of a role")

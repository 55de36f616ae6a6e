"""Keys of an AWS role by the person's own token: AWS itself knows who it is, and the role need not trust the broker."""

from __future__ import annotations

from typing import Any, ClassVar

from hoopx_broker.seams.issuer import Pin
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Order
from hoopx_plugins.aws_sessions import RoleOptions, RoleSessions, issued_from, made

_LOG_IN = "log in again (`hoopx login`); a session that began with a pass has no token"
_MEANINGS = {
    "ExpiredToken": ("the person's token has expired", _LOG_IN),
    "InvalidIdentityToken": (
        "AWS does not take the person's token",
        "make their identity provider, with this audience, an IAM OIDC provider of the account",
    ),
    "IDPRejectedClaim": (
        "AWS does not take what the token says of the person",
        "compare its `iss`, `aud` and `sub` with the role's trust policy",
    ),
}


class AwsWebIdentityOptions(RoleOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`role` trusts the people's identity provider."""


class AwsWebIdentityIssuer(RoleSessions):
    """Not renewed: a person's token seldom outlives the keys."""

    name: ClassVar[str] = "aws-web-identity"
    meanings: ClassVar[dict[str, tuple[str, str]]] = _MEANINGS
    Options: ClassVar[type[AwsWebIdentityOptions]] = AwsWebIdentityOptions

    async def issue(self, order: Order, pin: Pin) -> Issued:
        token = order.token
        if token is None:
            raise BackendFailed(
                f"the source `{self.name}` of target `{order.target.name}` needs the token of whoever asks,"
                " and has none",
                _LOG_IN,
            )
        request, caller = self._request(order), self._caller(order.target)

        def assume(sts: Any) -> dict[str, Any]:
            return dict(sts.assume_role_with_web_identity(**request, WebIdentityToken=token.reveal()))

        answer = await made(pin, self._pinned(order, request), lambda: caller.ask("sts", assume))
        return issued_from(answer, request["RoleArn"], order)

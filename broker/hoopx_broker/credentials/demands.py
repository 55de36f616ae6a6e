"""What is demanded of a credential source: that it keeps what rules say, and has no secret stored."""

from __future__ import annotations

from hoopx_broker.seams.issuer import Heeds, Issuer
from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import Issued, Order, concerns, secrets_of

LONG_SECRET = 16  # shorter passwords may be part of an innocent word of a handle by chance


def demand_heeded(issuer: Issuer, order: Order) -> None:
    """Raises `BackendFailed` where a rule binds a credential of this kind to what its source would not look at."""
    heeded = issuer.heeds if isinstance(issuer, Heeds) else frozenset[str]()
    for name in sorted(order.obligations):
        if name not in heeded and concerns(name, order.target.kind):
            raise BackendFailed(
                f"a rule binds the session by `@{name}`, which the source `{order.target.source}` of "
                f"`{order.target.name}` cannot do",
                "give the target another source, or keep the rule from it by a condition",
            )


def refuse_secrets(issued: Issued, order: Order) -> None:
    secrets = [secret.reveal() for secret in secrets_of(issued.credential)]
    if any(len(secret) >= LONG_SECRET and secret in value for secret in secrets for value in issued.handle.values()):
        raise BackendFailed(
            f"the credential source `{order.target.source}` put a secret where it would be stored",
            "this is a fault of that plugin; report it to its author",
        )

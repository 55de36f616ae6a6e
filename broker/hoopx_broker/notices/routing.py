"""Which notifier hears of what."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from hoopx_broker.api.messages import RequestView
from hoopx_broker.terms.approvals import Happening
from hoopx_broker.terms.settings import Notify


def wants(entry: Notify, happening: Happening, view: RequestView, labels: Mapping[str, str]) -> bool:
    """`labels` are the target's. What an entry does not say, it does not mind."""
    return (
        happening.event in entry.events
        and (not entry.kinds or view.kind in entry.kinds)
        and (not entry.targets or view.target in entry.targets)
        and (not entry.groups or not _asked(view).isdisjoint(entry.groups))
        and all(labels.get(name) == value for name, value in entry.labels.items())
    )


def _asked(view: RequestView) -> frozenset[str]:
    """The groups whose word is wanted, or is wanted afterwards."""
    reviewers = view.conditions.reviewers if view.glass else {}
    return frozenset((*view.approvers, *reviewers))


def message_id(notifier: str, happening: Happening) -> str:
    """The same for the same happening, however often it is written down or sent; no full stop, for signatures."""
    return f"msg_{sha256(msgspec.json.encode((notifier, happening))).hexdigest()[:32]}"

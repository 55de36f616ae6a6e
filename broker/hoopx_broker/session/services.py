"""The services that sessions need, and the targets that they lead to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from hoopx_broker.api.messages import SessionView
from hoopx_broker.approvals.desk import Desk
from hoopx_broker.credentials.keeper import Keeper
from hoopx_broker.evidence.chronicle import Chronicle
from hoopx_broker.evidence.index import Index
from hoopx_broker.identity.standing import Standing
from hoopx_broker.recording.committer import Committer
from hoopx_broker.recording.keys import EvidenceKey
from hoopx_broker.recording.room import Room
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.seams.judge import Judge as Policy
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.storage import sessions as stored
from hoopx_broker.terms.errors import Unknown
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.terms.targets import Target
from hoopx_broker.tlog.notes import Verifier
from hoopx_broker.tunnel.crew import Crew


class Services(Struct, frozen=True):
    """The services that sessions need. `judge` gives the policy that holds now."""

    targets: Mapping[str, Target]
    judge: Callable[[], Policy]
    keeper: Keeper
    desk: Desk
    reader: StatementReader
    stored: stored.Sessions
    recordings: Path
    evidence: EvidenceKey
    chronicle: Chronicle
    index: Index
    standing: Standing
    crew: Crew
    clock: Callable[[], float]
    steady: Callable[[], float]  # seconds that never go back, for the times inside a recording
    encrypt_to: tuple[str, ...] = ()  # the age recipients of recordings; none: they are in the clear
    committer: Committer | None = None  # where nothing is sent before the disk has what it tells of
    room: Room = Room()  # for recordings, in the directory where they are written
    older_keys: tuple[Verifier, ...] = ()  # what sealed here before `evidence` did


def find_target(targets: Mapping[str, Target], name: str) -> Target:
    """Raises `Unknown` with the nearest name."""
    if name in targets:
        return targets[name]
    near = nearest(name, targets)
    raise Unknown(f"there is no target `{name}`", f"did you mean `{near}`?" if near else "`hoopx ls` lists the targets")


def target_for(services: Services, who: Principal, name: str) -> Target:
    """As `find_target`, but what `who` may not even know of is not named as the nearest."""
    if name in services.targets:
        return services.targets[name]
    return find_target(
        {target.name: target for target in services.targets.values() if _may_know(services, who, target)}, name
    )


def may_view(services: Services, who: Principal, target: str, owner: Owner) -> bool:
    """May `who` see a session that `owner` had there? Of a target that is not configured any more, its owner may."""
    known = services.targets.get(target)
    if known is None:
        return owner.is_of(who)
    return isinstance(services.judge().may_view_session(who, known, owner), Allow)


def owner_of(view: SessionView) -> Owner:
    return Owner(view.user, view.on_behalf_of)


def _may_know(services: Services, who: Principal, target: Target) -> bool:
    minute = int(services.clock()) // 60 * 60
    ruling = services.judge().opening(who, target, Circumstances(minute, duration=target.longest))
    return not isinstance(ruling, Deny)


def nearest(name: str, known: Mapping[str, object]) -> str | None:
    found = difflib.get_close_matches(name, known, n=1)
    return found[0] if found else None

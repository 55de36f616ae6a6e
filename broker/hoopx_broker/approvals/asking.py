"""File what people are asked: once for the same ask, and marked where it went through broken glass."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from hoopx_broker.api.messages import RequestView
from hoopx_broker.approvals import demands, docket, keys, refusals
from hoopx_broker.approvals.docket import Filed
from hoopx_broker.approvals.matter import Matter, binding, digest
from hoopx_broker.approvals.persons import names_of
from hoopx_broker.approvals.turn import Turn
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.people import Principal, spoken
from hoopx_broker.terms.rulings import Ask

MAX_WAIT = 7 * 24 * 3600.0  # longer than a week nobody remembers what they asked for
# Requests of one requester. All streams of a session may be held at once; more is a script gone wild.
MAX_WAITING = 250
MAX_UNREVIEWED = 1_000  # whoever reviews them reads them all


class Wish(Struct, frozen=True):
    """Who asks for what, which rules sent them, and what they say for themselves."""

    matter: Matter
    requester: Principal
    ruling: Ask
    reason: str = ""
    ticket: str = ""
    key: str = ""

    @property
    def likeness(self) -> str:
        """Equal for those that ask the same people for the same thing, by the same one, for the same reason."""
        who = (self.requester.user, self.requester.on_behalf_of)
        ruling = self.ruling
        asked = (sorted(ruling.approvers.items()), sorted(ruling.rules), ruling.conditions)
        return digest(binding(self.matter), who, asked, self.reason, self.ticket, self.key)

    def by_key(self, *, glass: bool) -> str:
        """Equal for what a requester takes for the same ask: they know nothing of versions of the policy."""
        matter = self.matter
        what = (matter.kind, matter.target, matter.statement, matter.duration, matter.classes, matter.session)
        return digest(what, self.reason, self.ticket, glass)


def ask(turn: Turn, wish: Wish, new: RequestId, until: float) -> RequestView:
    """The request of the same key, the one that is alive and asks the same, or a new one until `until`."""
    if known := _by_key(turn, wish, glass=False):
        return _prolonged(turn, turn.found(known), until)
    if alike := docket.find_alike(turn.connection, wish.likeness):
        return _prolonged(turn, alike, until)
    demands.refuse_unmet(wish.ruling, wish.matter, wish.reason, wish.ticket, turn.now)
    if docket.count_of(turn.connection, wish.requester, "state = 'waiting'") >= MAX_WAITING:
        raise BadInput(
            f"`{_human(wish)}` has {MAX_WAITING} requests waiting already",
            "cancel some with `hoopx requests cancel`, or wait for their answers",
        )
    return _file(turn, wish, _filed(wish, new, turn.now, until, "waiting"), "asked")


def break_glass(turn: Turn, wish: Wish, new: RequestId) -> RequestView:
    """A request that nobody was asked, used as it is filed; of an unmasking, approved from now on for its time.

    The same key never goes through twice.
    """
    if known := _by_key(turn, wish, glass=True):
        raise refusals.not_spendable(turn.view(known))
    demands.refuse_unbreakable(wish.ruling, wish.matter, wish.requester, wish.reason)
    if docket.count_of(turn.connection, wish.requester, "review = 'open'") >= MAX_UNREVIEWED:
        raise BadInput(
            f"`{_human(wish)}` broke the glass {MAX_UNREVIEWED} times, and nobody has looked at it",
            "have it reviewed first: `hoopx requests ls --review open`",
        )
    holds = wish.matter.kind == "unmask"
    until = turn.now + wish.matter.duration if holds else turn.now
    filed = _filed(wish, new, turn.now, until, "approved" if holds else "used", glass=True)
    return _file(turn, wish, filed, "broken-glass")


def _prolonged(turn: Turn, filed: Filed, until: float) -> RequestView:
    """Whoever asks again waits again, and not for ever."""
    view = filed.view
    docket.prolong(turn.connection, view.id, min(until, view.created_at + MAX_WAIT))
    return turn.view(view.id)


def _by_key(turn: Turn, wish: Wish, *, glass: bool) -> RequestId | None:
    if not wish.key:
        return None
    keys.forget_old(turn.connection, turn.now)
    return keys.find(turn.connection, wish.requester, wish.key, wish.by_key(glass=glass))


def _file(turn: Turn, wish: Wish, filed: Filed, event: str) -> RequestView:
    view = filed.view
    # What went through broken glass is no answer to anybody who asks.
    docket.file(turn.connection, filed, digest(wish.likeness, view.id) if view.glass else wish.likeness)
    if wish.key:
        ask = wish.by_key(glass=view.glass)
        keys.keep(turn.connection, wish.requester, wish.key, ask, view.id, turn.now)
    turn.tell(view.id, event, spoken(view.requester, view.on_behalf_of), details=_evidence(wish, filed))
    return turn.view(view.id)


def _evidence(wish: Wish, filed: Filed) -> dict[str, str]:
    """What was asked of whom. Of a statement only a hash: its literals may be what others see masked."""
    view, conditions = filed.view, filed.view.conditions
    told = {
        "kind": view.kind,
        "target": view.target,
        "matter": digest(binding(wish.matter)),
        "policy": view.policy,
        "rules": _json(view.rules),
        "approvers": _json(view.approvers),
        "conditions": _json(conditions),
        "known_as": _json(sorted(filed.known_as)),
        "reason": view.reason,
        "ticket": view.ticket,
        "session": view.session,
        "classes": _json(view.classes) if view.classes else "",
        "duration": str(view.duration) if view.duration else "",
        "statement": digest(view.statement) if view.statement else "",
        "reviewers": _json(filed.reviewers) if view.glass else "",
    }
    return {name: value for name, value in told.items() if value}


def _filed(
    wish: Wish, request: RequestId, created_at: float, expires_at: float, state: str, *, glass: bool = False
) -> Filed:
    matter, requester, ruling = wish.matter, wish.requester, wish.ruling
    view = RequestView(
        id=request,
        state=state,
        kind=matter.kind,
        target=matter.target,
        requester=requester.user,
        reason=wish.reason,
        ticket=wish.ticket,
        duration=matter.duration,
        rules=ruling.rules,
        approvers=ruling.approvers,
        created_at=created_at,
        expires_at=expires_at,
        statement=matter.statement,
        classes=matter.classes,
        on_behalf_of=requester.on_behalf_of,
        policy=matter.policy,
        conditions=ruling.conditions,
        session=matter.session,
        canonical=matter.canonical,
        effects=matter.effects,
        glass=glass,
        review="open" if glass else "",
    )
    return Filed(view, names_of(requester))


def _human(wish: Wish) -> str:
    return wish.requester.on_behalf_of or wish.requester.user


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()

"""Judge whoever acts on behalf of somebody: what policy allows to both of them, the agent and the human."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import UNSET, structs

from hoopx_broker.conditions.together import strictest, together
from hoopx_broker.policy.obligations import at_odds, least, of_both
from hoopx_broker.seams.judge import Circumstances, Consent, IdentityAction, Judge
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target

# What a ruling lets one do; and what the rules in shadow would have made of it, by the first word they are told with.
_STRICTNESS: dict[type, int] = {Allow: 0, Ask: 1, Deny: 2}
_SHADOWS = {"allow": 0, "ask": 1, "deny": 2}

Rule = Callable[[Principal], Ruling]
RuleUnder = Callable[[Principal, Circumstances], Ruling]


def halves(who: Principal) -> tuple[Principal, ...]:
    """Everybody who must be allowed what `who` does: an agent and then its human, anybody else alone.

    Rules see of the agent for whom it acts. A human whose groups nobody told has none.
    """
    if who.on_behalf_of is None:
        return (who,)
    groups = () if who.their_groups is UNSET else who.their_groups
    issuer = "" if who.their_issuer is UNSET else who.their_issuer
    agent = structs.replace(who, their_groups=UNSET, their_issuer=UNSET)
    return agent, Principal(who.on_behalf_of, "human", groups, issuer)


class Delegating:
    """`seams.judge.Judge` that asks another one twice where an agent acts for a human, and grants what both grant."""

    def __init__(self, alone: Judge) -> None:
        self._alone = alone

    @property
    def version(self) -> str:
        return self._alone.version

    @property
    def asks_parameters(self) -> bool:
        return self._alone.asks_parameters

    def opening(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        if who.on_behalf_of is None:
            return self._alone.opening(who, target, circumstances)
        return _granted(who, circumstances, lambda one, now: self._alone.opening(one, target, now))

    def extending(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        if who.on_behalf_of is None:
            return self._alone.extending(who, target, circumstances)
        return _granted(who, circumstances, lambda one, now: self._alone.extending(one, target, now))

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        if who.on_behalf_of is None:
            return self._alone.statements(who, target, facts, circumstances, hidden)
        masked = hidden if hidden is not None else self.hidden(who, target)
        return _granted(who, circumstances, lambda one, now: self._alone.statements(one, target, facts, now, masked))

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        if who.on_behalf_of is None:
            return self._alone.hidden(who, target, consent)
        agent, human = (self._alone.hidden(one, target, consent) for one in halves(who))
        return agent | human

    def hidden_classes(
        self, who: Principal, target: Target, classes: Collection[str], consent: Consent = Consent()
    ) -> frozenset[str]:
        found = (self._alone.hidden_classes(one, target, classes, consent) for one in halves(who))
        return frozenset[str]().union(*found)

    def unmasking(
        self, who: Principal, target: Target, classes: Collection[str], circumstances: Circumstances
    ) -> Ruling:
        if who.on_behalf_of is None:
            return self._alone.unmasking(who, target, classes, circumstances)
        return _granted(who, circumstances, lambda one, now: self._alone.unmasking(one, target, classes, now))

    def may_view_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_view_session(one, target, owner))

    def may_kill_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_kill_session(one, target, owner))

    def may_view_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_view_lease(one, target, owner))

    def may_revoke_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_revoke_lease(one, target, owner))

    def may_hold(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_hold(one, target, owner))

    def may_collect(self, who: Principal, target: Target) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_collect(one, target))

    def may_change_identity(self, action: IdentityAction, who: Principal, user: str) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_change_identity(action, one, user))

    def may_view_log(self, who: Principal) -> Ruling:
        return _of_both(who, lambda one: self._alone.may_view_log(one))


def _granted(who: Principal, circumstances: Circumstances, rule: RuleUnder) -> Ruling:
    """People are asked only where, with the consent of all of them, both would be allowed it."""
    ruling = _of_both(who, lambda one: rule(one, circumstances))
    if not isinstance(ruling, Ask):
        return ruling
    agreed = structs.replace(circumstances, approvals=circumstances.approvals | frozenset(ruling.approvers))
    then = _of_both(who, lambda one: rule(one, agreed))
    return structs.replace(then, shadow=ruling.shadow) if isinstance(then, Deny) else ruling


def _of_both(who: Principal, rule: Rule) -> Ruling:
    rulings = [rule(one) for one in halves(who)]
    return rulings[0] if len(rulings) == 1 else _joined(who, *rulings)


def _joined(who: Principal, agent: Ruling, human: Ruling) -> Ruling:
    """The stricter of the two; where both ask, or both allow, what both say."""
    ruling = _both(who, agent, human)
    return structs.replace(ruling, shadow=_shadow(who, ruling, agent, human))


def _both(who: Principal, agent: Ruling, human: Ruling) -> Ruling:
    if isinstance(agent, Deny):
        return _refused(who.user, agent) if agent.rule == "default" else agent
    if isinstance(human, Deny):
        return human if human.rule == "judge" else _refused(who.on_behalf_of or "", human)
    if isinstance(agent, Allow) and isinstance(human, Allow):
        return _allowed(who, agent, human)
    return _asked([each for each in (agent, human) if isinstance(each, Ask)])


def _allowed(who: Principal, agent: Allow, human: Allow) -> Allow | Deny:
    """The credential must be bound as both say. Where they say different things, no source could be told of both."""
    if odd := at_odds(agent.obligations, human.obligations):
        told = " and ".join(f"`@{name}`" for name in odd)
        reason = f"the rules that permit it bind `{who.user}` and `{who.on_behalf_of}` to different {told}"
        return Deny(reason, "judge", "whoever keeps the policies binds both alike, or one of them only")
    bound = of_both(agent.obligations, human.obligations)
    rules, record = tuple(sorted({*agent.rules, *human.rules})), least((agent.record, human.record))
    return Allow(rules, agent.masks | human.masks, obligations=bound, record=record)


def _refused(name: str, ruling: Deny) -> Deny:
    return structs.replace(ruling, reason=f"`{name}` may not: {ruling.reason}")


def _asked(asks: Sequence[Ask]) -> Ask:
    """The same people's word counts for both."""
    approvers = strictest(ask.approvers for ask in asks)
    reasons = dict.fromkeys(part for ask in asks for part in ask.reason.split("; "))
    rules = tuple(sorted({rule for ask in asks for rule in ask.rules}))
    return Ask("; ".join(reasons), rules, approvers, conditions=together(ask.conditions for ask in asks))


def _shadow(who: Principal, ruling: Ruling, agent: Ruling, human: Ruling) -> str:
    """What rules in shadow would make of it for both together; empty where that is what it is anyway."""
    told = [(name, each.shadow) for name, each in ((who.user, agent), (who.on_behalf_of, human)) if each.shadow]
    would = max(_strictness(agent), _strictness(human))
    erred = any(shadow.startswith("error") for _, shadow in told)
    asks_more = isinstance(ruling, Ask) and any(shadow.startswith("ask") for _, shadow in told)
    if would == _STRICTNESS[type(ruling)] and not erred and not asks_more:
        return ""
    if len({shadow for _, shadow in told}) == 1 and len(told) > 1:
        return told[0][1]
    return "; ".join(f"{shadow} for `{name}`" for name, shadow in told)


def _strictness(ruling: Ruling) -> int:
    """Of the ruling as it would be if no rule were in shadow."""
    return _SHADOWS.get(ruling.shadow.partition(" ")[0], _STRICTNESS[type(ruling)])

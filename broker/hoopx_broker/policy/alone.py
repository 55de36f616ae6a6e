"""Judge one principal by Cedar: deny by default, forbid wins, and a forbid that names approvers asks people instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import structs

from hoopx_broker.conditions.together import strictest, together
from hoopx_broker.policy.asking import meant
from hoopx_broker.policy.engine import Answer
from hoopx_broker.policy.entities import column_of, ground
from hoopx_broker.policy.inquiry import Inquiry, SessionAction
from hoopx_broker.policy.load import Policies
from hoopx_broker.policy.obligations import added_up, least
from hoopx_broker.policy.rules import Rule
from hoopx_broker.policy.shadow import effect
from hoopx_broker.seams.judge import Circumstances, Consent, IdentityAction
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Owner, Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target

Answers = Callable[[Circumstances], list[Answer]]

_SURPRISE = Deny("policy could not be evaluated", "judge", "tell whoever runs the broker; nothing was forwarded")

# Pairs of a person and a target whose hidden columns are kept.
_KEPT = 1_024


class Alone:
    """`seams.judge.Judge` for one principal by itself: that an agent acts for somebody changes nothing here."""

    def __init__(self, policies: Policies, inquiry: Inquiry) -> None:
        self._policies = policies
        self._inquiry = inquiry
        # Answers that cannot change, some 30 microseconds a column, which every ruling of a session needs.
        self._hidden: dict[object, dict[ColumnName, str]] = {}

    @property
    def version(self) -> str:
        return self._policies.version

    @property
    def asks_parameters(self) -> bool:
        return self._policies.asks_parameters

    def opening(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        def answers(now: Circumstances) -> list[Answer]:
            return self._inquiry.opening(who, target, now)

        ruling = self._rule(who, target, circumstances, answers)
        if isinstance(ruling, Allow):
            rules = [self._policies.rules[name] for name in ruling.rules]
            record = least(rule.record for rule in rules)
            return structs.replace(ruling, obligations=added_up(rules), record=record)
        return ruling

    def extending(self, who: Principal, target: Target, circumstances: Circumstances) -> Ruling:
        def answers(now: Circumstances) -> list[Answer]:
            return self._inquiry.extending(who, target, now)

        return self._rule(who, target, circumstances, answers)

    def statements(
        self,
        who: Principal,
        target: Target,
        facts: Sequence[StatementFacts],
        circumstances: Circumstances,
        hidden: Collection[ColumnName] | None = None,
    ) -> Ruling:
        masked = hidden if hidden is not None else self.hidden(who, target)

        def answers(now: Circumstances) -> list[Answer]:
            found = self._inquiry.statements(who, target, facts, now)
            return found + self._inquiry.probing(who, target, facts, masked, now)

        return self._rule(who, target, circumstances, answers)

    def hidden(self, who: Principal, target: Target, consent: Consent = Consent()) -> dict[ColumnName, str]:
        """Any error hides everything, and is not remembered."""
        key = (who, ground(who, target), tuple(target.classify.items()), consent)
        if key not in self._hidden:
            try:
                answers = self._inquiry.revealing(who, target, _under(consent))
            except Exception:
                return dict(target.classify)  # fails closed, as `_rule` does
            self._keep(key, _revealed(answers), target)
        return dict(self._hidden[key])

    def hidden_classes(
        self, who: Principal, target: Target, classes: Collection[str], consent: Consent = Consent()
    ) -> frozenset[str]:
        """Any error hides all of them."""
        now = _under(consent)
        try:
            return frozenset(classes) - _revealed(self._inquiry.revealing_classes(who, target, sorted(classes), now))
        except Exception:
            return frozenset(classes)  # fails closed, as `_rule` does

    def unmasking(
        self, who: Principal, target: Target, classes: Collection[str], circumstances: Circumstances
    ) -> Ruling:
        def answers(now: Circumstances) -> list[Answer]:
            return self._inquiry.unmasking(who, target, classes, now)

        try:
            ruling = self._ruling(who, target, circumstances, answers(circumstances), answers)
        except Exception:
            return _SURPRISE  # fails closed, as `_rule` does
        if isinstance(ruling, Allow):
            beside = {column: kind for column, kind in ruling.masks.items() if kind not in classes}
            return structs.replace(ruling, masks=beside)
        return ruling

    def _keep(self, key: object, revealed: set[str], target: Target) -> None:
        if len(self._hidden) >= _KEPT:
            self._hidden.clear()
        classified = target.classify.items()
        self._hidden[key] = {name: kind for name, kind in classified if column_of(target, name).id not in revealed}

    def may_view_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return self._about_session("session.view", who, target, owner)

    def may_kill_session(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return self._about_session("session.kill", who, target, owner)

    def may_view_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return self._about_session("lease.view", who, target, owner)

    def may_revoke_lease(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return self._about_session("lease.revoke", who, target, owner)

    def may_hold(self, who: Principal, target: Target, owner: Owner) -> Ruling:
        return self._about_session("audit.hold", who, target, owner)

    def may_collect(self, who: Principal, target: Target) -> Ruling:
        try:
            answers = self._inquiry.collecting(who, target)
            return self._refusal(target, answers) or Allow(_rules(answers))
        except Exception:
            return _SURPRISE  # fails closed, as `_rule` does

    def may_change_identity(self, action: IdentityAction, who: Principal, user: str) -> Ruling:
        return _plain(f"`{action}` on `{user}`", lambda: self._inquiry.identity(action, who, user))

    def may_view_log(self, who: Principal) -> Ruling:
        return _plain("`audit.view`", lambda: self._inquiry.log(who))

    def _about_session(self, action: SessionAction, who: Principal, target: Target, owner: Owner) -> Ruling:
        try:
            answers = self._inquiry.session(action, who, target, owner)
            return self._refusal(target, answers) or Allow(_rules(answers))
        except Exception:
            return _SURPRISE  # fails closed, as `_rule` does

    def _rule(self, who: Principal, target: Target, circumstances: Circumstances, answers: Answers) -> Ruling:
        """Turn answers into one ruling; whatever goes wrong on the way is a denial."""
        try:
            found = answers(circumstances)
            ruling = self._ruling(who, target, circumstances, found, answers)
            if not self._policies.has_shadow:
                return ruling
            return structs.replace(ruling, shadow=self._shadow(who, target, circumstances, found, ruling, answers))
        except Exception:
            # The edge where judging fails closed: facts without a question, a rule that errs, an entity that the
            # engine refuses, or a fault of our own are all not a yes.
            return _SURPRISE

    def _shadow(
        self,
        who: Principal,
        target: Target,
        circumstances: Circumstances,
        found: list[Answer],
        ruling: Ruling,
        answers: Answers,
    ) -> str:
        """What would be if every rule were enforced. That it cannot be told changes nothing about the ruling."""

        def enforcing(now: Circumstances) -> list[Answer]:
            return [answer.enforcing_shadow() for answer in answers(now)]

        strict = [answer.enforcing_shadow() for answer in found]
        try:
            would = self._ruling(who, target, circumstances, strict, enforcing)
        except Exception:
            would = _SURPRISE  # as `_rule` would have it
        return effect(ruling, would, found)

    def _ruling(
        self, who: Principal, target: Target, circumstances: Circumstances, found: list[Answer], answers: Answers
    ) -> Ruling:
        """What `found` comes to. Where people could lift all that refuses, `answers` say whether it would then run."""
        refusal = self._refusal(target, found)
        if refusal is None:
            return Allow(_rules(found), self.hidden(who, target))
        request = self._request(found)
        if request is None:
            return refusal
        granted = structs.replace(circumstances, approvals=circumstances.approvals | frozenset(request.approvers))
        return self._refusal(target, answers(granted)) or request

    def _refusal(self, target: Target, answers: Sequence[Answer]) -> Deny | None:
        """What denies: a forbid that nobody can lift first, then one that people can, then that nothing permits."""
        refused = [answer for answer in answers if not answer.allowed]
        if not refused:
            return None
        forbids = [(answer, self._policies.rules[name]) for answer in refused for name in answer.rules]
        forbids.sort(key=lambda pair: bool(pair[1].approvers))
        return _forbidden(*forbids[0]) if forbids else _unpermitted(target, refused[0])

    def _request(self, answers: Sequence[Answer]) -> Ask | None:
        """What would lift every refusal, if each comes only from rules that name approvers."""
        refused = [answer for answer in answers if not answer.allowed]
        if not all(answer.rules for answer in refused):
            return None
        rules = {name: self._policies.rules[name] for answer in refused for name in answer.rules}
        if not all(rule.approvers for rule in rules.values()):
            return None
        approvers = strictest(rule.approvers for rule in rules.values())
        reasons = dict.fromkeys(_reason(rule, rule.id) for _, rule in sorted(rules.items()))
        actions = {answer.question.action for answer in refused}
        conditions = meant(together(rule.conditions for rule in rules.values()), actions)
        return Ask("; ".join(reasons), tuple(sorted(rules)), approvers, conditions=conditions)


def _plain(what: str, inquire: Callable[[], list[Answer]]) -> Ruling:
    """Of what is permitted or not, and people are never asked about."""
    try:
        answers = inquire()
        refused = next((answer for answer in answers if not answer.allowed), None)
        if refused is None:
            return Allow(_rules(answers))
        rule = refused.rules[0] if refused.rules else "default"
        return Deny(f"no rule permits {what}", rule, "ask whoever may do it")
    except Exception:
        return _SURPRISE  # fails closed, as `_rule` does


def _under(consent: Consent) -> Circumstances:
    """What is revealed does not depend on the time."""
    return Circumstances(0, consent.reason, consent.ticket, approvals=consent.approvals)


def _revealed(answers: Sequence[Answer]) -> set[str]:
    return {answer.question.resource.id for answer in answers if answer.allowed}


def _rules(answers: Sequence[Answer]) -> tuple[str, ...]:
    return tuple(sorted({name for answer in answers for name in answer.rules}))


def _forbidden(answer: Answer, rule: Rule) -> Deny:
    question = answer.question
    behind = f", behind `{', '.join(question.through)}`" if question.through else ""
    plain = f"rule `{rule.id}` forbids `{question.action}` on `{question.resource.label}`{behind}"
    return Deny(_reason(rule, plain), rule.id, rule.hint)


def _reason(rule: Rule, otherwise: str) -> str:
    return rule.message or otherwise


def _unpermitted(target: Target, answer: Answer) -> Deny:
    question = answer.question
    where = "" if question.resource.type == "Target" else f" at `{target.name}`"
    reason = f"no rule permits `{question.action}` on `{question.resource.label}`{where}"
    return Deny(reason, "default", f"`hoopx show {target.name}` lists what you may do there")

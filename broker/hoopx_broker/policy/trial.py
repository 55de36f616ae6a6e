"""Try policies on the cases written for them: real facts, real rules, and which rules no case ever reached."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from hoopx_broker.conditions import written
from hoopx_broker.policy.cases import Case, Placed, owner, read_cases
from hoopx_broker.policy.delegated import halves
from hoopx_broker.policy.engine import Answer
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import Policies
from hoopx_broker.policy.obligations import Bound
from hoopx_broker.policy.problems import Problem
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.seams.judge import Circumstances, IdentityAction
from hoopx_broker.terms.approvals import Conditions
from hoopx_broker.terms.facts import Unreadable
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling

_NAMES = {Allow: "allow", Deny: "deny", Ask: "ask"}


class Trial(Struct, frozen=True):
    """`failures` are cases that came out otherwise, or could not be read; `unreached` rules decided no case."""

    cases: int
    failures: tuple[Problem, ...]
    unreached: tuple[str, ...]


class _Outcome(Struct, frozen=True):
    """`bound` is what the ruling binds a credential to, as rules write it."""

    ruling: Ruling
    rules: frozenset[str]
    bound: Bound


def run(policies: Policies, directory: Path | None = None) -> Trial:
    """Try every `*.yaml` below `directory`, or below the policies' own."""
    where = directory or policies.directory
    cases: list[Placed] = []
    failures: list[Problem] = []
    for path in sorted([*where.rglob("*.yaml"), *where.rglob("*.yml")]):
        found, problems = read_cases(path)
        cases += found
        failures += problems
    judge = CedarJudge(policies)
    reached: set[str] = set()
    for placed in cases:
        outcome = _try(judge, placed.case)
        reached |= outcome.rules
        failures += [Problem(placed.file, placed.line, fault) for fault in _faults(placed.case, outcome)]
    return Trial(len(cases), tuple(sorted(failures)), tuple(sorted(set(policies.rules) - reached)))


def _try(judge: CedarJudge, case: Case) -> _Outcome:
    who, target, now = case.who.principal(), case.on.as_target(), case.circumstances.circumstances()
    everybody, inquiry = halves(who), judge.inquiry
    revealing = [answer for one in everybody for answer in inquiry.revealing(one, target, Circumstances(0))]
    if case.connect:
        answers = [answer for one in everybody for answer in inquiry.opening(one, target, now)]
        ruling = judge.opening(who, target, now)
        bound = judge.bound(ruling) if isinstance(ruling, Allow) else {}
        return _outcome(ruling, [*answers, *revealing], bound)
    if case.extend:
        answers = [answer for one in everybody for answer in inquiry.extending(one, target, now)]
        return _outcome(judge.extending(who, target, now), answers)
    if case.reveal:
        answers = [answer for one in everybody for answer in inquiry.unmasking(one, target, case.reveal, now)]
        return _outcome(judge.unmasking(who, target, case.reveal, now), answers)
    if case.view is not None:
        whose = owner(case.view)
        answers = [answer for one in everybody for answer in inquiry.session("session.view", one, target, whose)]
        return _outcome(judge.may_view_session(who, target, whose), answers)
    if case.kill is not None:
        whose = owner(case.kill)
        answers = [answer for one in everybody for answer in inquiry.session("session.kill", one, target, whose)]
        return _outcome(judge.may_kill_session(who, target, whose), answers)
    if case.view_lease is not None:
        whose = owner(case.view_lease)
        answers = [answer for one in everybody for answer in inquiry.session("lease.view", one, target, whose)]
        return _outcome(judge.may_view_lease(who, target, whose), answers)
    if case.revoke_lease is not None:
        whose = owner(case.revoke_lease)
        answers = [answer for one in everybody for answer in inquiry.session("lease.revoke", one, target, whose)]
        return _outcome(judge.may_revoke_lease(who, target, whose), answers)
    if case.hold is not None:
        whose = owner(case.hold)
        answers = [answer for one in everybody for answer in inquiry.session("audit.hold", one, target, whose)]
        return _outcome(judge.may_hold(who, target, whose), answers)
    if case.gc:
        answers = [answer for one in everybody for answer in inquiry.collecting(one, target)]
        return _outcome(judge.may_collect(who, target), answers)
    if (user := case.revoke or case.restore) is not None:
        action: IdentityAction = "identity.revoke" if case.revoke is not None else "identity.restore"
        answers = [answer for one in everybody for answer in inquiry.identity(action, one, user)]
        return _outcome(judge.may_change_identity(action, who, user), answers)
    if case.view_log:
        return _outcome(judge.may_view_log(who), [answer for one in everybody for answer in inquiry.log(one)])
    reading = read((case.sql or "").encode())
    if isinstance(reading, Unreadable):
        return _outcome(Deny(reading.reason, "parse"), [])
    facts = resolved(reading, case.on.as_catalog(), target.classify)
    ruling = judge.statements(who, target, facts, now)
    if isinstance(ruling, Deny) and ruling.rule == "judge":
        return _outcome(ruling, [])
    hidden = judge.hidden(who, target)
    answers = [
        answer
        for one in everybody
        for answer in (
            *inquiry.statements(one, target, facts, now),
            *inquiry.probing(one, target, facts, hidden, now),
        )
    ]
    return _outcome(ruling, [*answers, *revealing])


def _outcome(ruling: Ruling, answers: Iterable[Answer], bound: Bound | None = None) -> _Outcome:
    rules = frozenset(name for answer in answers for name in (*answer.rules, *answer.shadow.rules))
    return _Outcome(ruling, rules | {ruling.rule} if isinstance(ruling, Deny) else rules, bound or {})


def _sorted(obligations: Bound) -> Bound:
    return {name: tuple(sorted(values)) for name, values in obligations.items()}


def _faults(case: Case, outcome: _Outcome) -> list[str]:
    """What came out otherwise than the case says."""
    ruling, expect = outcome.ruling, case.expect
    decision = _NAMES[type(ruling)]
    if decision != expect.decision:
        why = ruling.rule if isinstance(ruling, Deny) else ", ".join(sorted(outcome.rules))
        return [f"{case.name}: expected {expect.decision}, came out {decision} by {why}"]
    faults = []
    if expect.shadow is not None and ruling.shadow != expect.shadow:
        faults.append(f"{case.name}: expected shadow `{expect.shadow}`, came out `{ruling.shadow}`")
    if missing := [name for name in expect.by if name not in outcome.rules]:
        came = ", ".join(sorted(outcome.rules))
        faults.append(f"{case.name}: expected {', '.join(missing)} to decide, it was {came}")
    if isinstance(ruling, Ask) and expect.approvers is not None and ruling.approvers != expect.approvers:
        faults.append(f"{case.name}: expected approvers {expect.approvers}, came out {ruling.approvers}")
    if isinstance(ruling, Ask) and expect.conditions is not None:
        faults += _unlike(case.name, expect.conditions.conditions(), ruling.conditions)
    if expect.obligations is not None and outcome.bound != _sorted(expect.obligations):
        faults.append(f"{case.name}: expected obligations {expect.obligations}, came out {outcome.bound}")
    if isinstance(ruling, Allow) and expect.record not in (None, ruling.record):
        faults.append(f"{case.name}: expected record `{expect.record}`, came out `{ruling.record}`")
    if isinstance(ruling, Allow) and expect.masks is not None:
        hidden = {str(column) for column in ruling.masks}
        if hidden != set(expect.masks):
            faults.append(f"{case.name}: expected {sorted(expect.masks)} hidden, came out {sorted(hidden)}")
    return faults


def _unlike(name: str, expected: Conditions, came: Conditions) -> list[str]:
    """The conditions that are not those of the case, as people read them."""
    if expected == came:
        return []
    wanted, found = ("; ".join(written.lines(each)) or "none" for each in (expected, came))
    return [f"{name}: expected conditions {wanted}, came out {found}"]

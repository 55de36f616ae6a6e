"""Why policy says what it says: the facts of a statement, the questions they raise, and the rule behind each answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from msgspec import Struct, structs

from hoopx_broker.conditions import written
from hoopx_broker.policy.delegated import halves
from hoopx_broker.policy.engine import Answer, Stumbled
from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.questions import Unanswerable
from hoopx_broker.policy.scenery import NOTHING_KNOWN, resolved
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import ColumnName, Target


class Decided(Struct, frozen=True):
    """One question: `rules` permitted it, or forbade it. Where it needs a permit, none means that nothing permits it.

    `shadow` are the rules in shadow that spoke. `through` is what the statement names that the resource lies behind.
    `who` tells of whom it was asked, where an agent acts for a human and both must be allowed it.
    """

    action: str
    type: str
    resource: str
    allowed: bool
    rules: tuple[str, ...]
    needs_permit: bool = True
    through: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    who: str = ""


class Explained(Struct, frozen=True):
    facts: StatementFacts
    questions: tuple[Decided, ...]


class Explanation(Struct, frozen=True):
    """`statements` is empty where the text could not be read or judged; `opening` has the questions of a session.

    So has it those of its extension. `conditions` are those of an approval, as people read them, and which of its
    windows are closed at that time.
    """

    ruling: Ruling
    statements: tuple[Explained, ...] = ()
    opening: tuple[Decided, ...] = ()
    conditions: tuple[str, ...] = ()


def explain(
    judge: CedarJudge,
    who: Principal,
    target: Target,
    text: str,
    circumstances: Circumstances,
    known: Catalog = NOTHING_KNOWN,
) -> Explanation:
    """Judge `text` as a session would that knows no more of the target's catalog than `known`."""
    reading = read(text.encode(errors="backslashreplace"))
    if isinstance(reading, Unreadable):
        hint = "only what PostgreSQL's grammar reads is forwarded"
        return Explanation(Deny(f"the statement cannot be read: {reading.reason}", "parse", hint))
    facts = resolved(reading, known, target.classify)
    ruling = judge.statements(who, target, facts, circumstances)
    try:
        hidden = judge.hidden(who, target)
        explained = [
            Explained(one, _of_each(who, partial(_about, judge, target, one, hidden, circumstances))) for one in facts
        ]
    except (Stumbled, Unanswerable):
        return Explanation(ruling)
    return Explanation(ruling, tuple(explained), (), _demanded(ruling, circumstances))


def explain_opening(judge: CedarJudge, who: Principal, target: Target, circumstances: Circumstances) -> Explanation:
    """Judge the opening of a session. Its obligations are as rules write them."""
    ruling = judge.opening(who, target, circumstances)
    if isinstance(ruling, Allow):
        ruling = structs.replace(ruling, obligations=judge.bound(ruling))
    try:
        asked = _of_each(who, lambda half: judge.inquiry.opening(half, target, circumstances))
        return Explanation(ruling, (), asked, _demanded(ruling, circumstances))
    except Stumbled:
        return Explanation(ruling)


def explain_extending(judge: CedarJudge, who: Principal, target: Target, circumstances: Circumstances) -> Explanation:
    """Judge that a session goes on for `circumstances.duration` seconds more."""
    ruling = judge.extending(who, target, circumstances)
    try:
        asked = _of_each(who, lambda half: judge.inquiry.extending(half, target, circumstances))
        return Explanation(ruling, (), asked, _demanded(ruling, circumstances))
    except Stumbled:
        return Explanation(ruling)


def _demanded(ruling: Ruling, circumstances: Circumstances) -> tuple[str, ...]:
    return written.lines(ruling.conditions, circumstances.now) if isinstance(ruling, Ask) else ()


def _about(
    judge: CedarJudge,
    target: Target,
    statement: StatementFacts,
    hidden: Collection[ColumnName],
    circumstances: Circumstances,
    who: Principal,
) -> list[Answer]:
    asked = judge.inquiry.statements(who, target, [statement], circumstances)
    return asked + judge.inquiry.probing(who, target, [statement], hidden, circumstances)


def _of_each(who: Principal, answers: Callable[[Principal], list[Answer]]) -> tuple[Decided, ...]:
    """The questions about everybody who must be allowed it."""
    if who.on_behalf_of is None:
        return _decided(answers(who))
    return tuple(decided for half in halves(who) for decided in _decided(answers(half), half.user))


def _decided(answers: Sequence[Answer], who: str = "") -> tuple[Decided, ...]:
    return tuple(
        Decided(
            answer.question.action,
            answer.question.resource.type,
            answer.question.resource.label,
            answer.allowed,
            answer.rules,
            answer.question.weighed == "whole",
            answer.question.through,
            answer.shadow.rules,
            who,
        )
        for answer in answers
    )

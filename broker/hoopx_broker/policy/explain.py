"""Why policy says what it says of a statement: its facts, the questions they raise, and the rule behind each answer."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.policy.facts.sql import read
from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.scenery import resolved
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.facts import StatementFacts, Unreadable
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling
from hoopx_broker.terms.targets import Target


class Decided(Struct, frozen=True):
    """One question: `rules` permitted it, or forbade it; none where nothing permits it."""

    action: str
    resource: str
    allowed: bool
    rules: tuple[str, ...]


class Explained(Struct, frozen=True):
    facts: StatementFacts
    questions: tuple[Decided, ...]


class Explanation(Struct, frozen=True):
    """`statements` is empty where the text could not be read or judged."""

    ruling: Ruling
    statements: tuple[Explained, ...] = ()


def explain(judge: CedarJudge, who: Principal, target: Target, text: str, circumstances: Circumstances) -> Explanation:
    """Judge `text` as a session would, except that names are resolved without the target's catalog."""
    reading = read(text.encode())
    if isinstance(reading, Unreadable):
        hint = "only what PostgreSQL's grammar reads is forwarded"
        return Explanation(Deny(f"the statement cannot be read: {reading.reason}", "parse", hint))
    facts = resolved(reading)
    ruling = judge.statements(who, target, facts, circumstances)
    if isinstance(ruling, Deny) and ruling.rule == "judge":
        return Explanation(ruling)
    return Explanation(ruling, tuple(_explained(judge, who, target, one, circumstances) for one in facts))


def _explained(
    judge: CedarJudge, who: Principal, target: Target, facts: StatementFacts, circumstances: Circumstances
) -> Explained:
    answers = judge.inquiry.statements(who, target, [facts], circumstances)
    return Explained(
        facts,
        tuple(
            Decided(answer.question.action, answer.question.resource.label, answer.allowed, answer.rules)
            for answer in answers
        ),
    )


def render(explanation: Explanation) -> str:
    """For people: a block for each statement, then the ruling."""
    lines: list[str] = []
    for number, statement in enumerate(explanation.statements, 1):
        lines += [f"statement {number}: {statement.facts.kind}", *_facts(statement.facts)]
        lines += [f"  {_question(question)}" for question in statement.questions]
    return "\n".join([*lines, _ruling(explanation.ruling)])


def _facts(facts: StatementFacts) -> list[str]:
    told: list[tuple[str, Sequence[str]]] = [
        ("inside it", sorted(facts.kinds - {facts.kind})),
        ("dangerous", facts.dangerous),
        ("settings", facts.settings),
        ("functions", [name.name for name in facts.functions]),
    ]
    lines = [f"  {name}: {', '.join(values)}" for name, values in told if values]
    return lines if facts.has_where else [*lines, "  an UPDATE or DELETE without a WHERE that looks at a column"]


def _question(question: Decided) -> str:
    names = ", ".join(question.rules)
    if question.allowed:
        return f"{question.action} on {question.resource}: permitted by {names}"
    return f"{question.action} on {question.resource}: " + (f"forbidden by {names}" if names else "nothing permits it")


def _ruling(ruling: Ruling) -> str:
    match ruling:
        case Allow(_, masks):
            hidden = ", ".join(str(column) for column in sorted(masks))
            return "ruling: allow" + (f", hiding {hidden}" if hidden else "")
        case Deny(reason, rule, hint):
            return f"ruling: deny by `{rule}`: {reason}" + (f" ({hint})" if hint else "")
        case Ask(reason, rules, approvers):
            wanted = ", ".join(f"{count} of {group}" for group, count in sorted(approvers.items()))
            return f"ruling: ask {wanted} because of {', '.join(rules)}: {reason}"

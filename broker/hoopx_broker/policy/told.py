"""Tell an explanation to people: a block for each statement, then the ruling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from hoopx_broker.policy.explain import Decided, Explained, Explanation
from hoopx_broker.terms.facts import ColumnUse, FunctionName, StatementFacts, TableUse
from hoopx_broker.terms.rulings import Allow, Ask, Deny, Ruling


def render(explanation: Explanation) -> str:
    """Several lines. A name cannot make one of its own; making them harmless to a terminal is left to who prints."""
    lines: list[str] = []
    for number, statement in enumerate(explanation.statements, 1):
        lines += _statement(number, statement)
    lines += [f"  {_question(question)}" for question in explanation.opening]
    lines.append(_ruling(explanation.ruling))
    lines += [f"  condition: {line}" for line in explanation.conditions]
    if explanation.ruling.shadow:
        lines.append(f"in shadow: {explanation.ruling.shadow}")
    return "\n".join(line.translate(_ONE_LINE) for line in lines)


_ONE_LINE = {ord(mark): f"\\x{ord(mark):02x}" for mark in "\n\r\v\f\x1c\x1d\x1e\x85"} | {
    ord(mark): f"\\u{ord(mark):04x}" for mark in "\u2028\u2029"
}


def _statement(number: int, statement: Explained) -> list[str]:
    lines = [f"statement {number}: {statement.facts.kind}"]
    lines += [f"  {name}: {', '.join(values)}" for name, values in _facts(statement.facts) if values]
    return lines + [f"    {_question(question)}" for question in statement.questions]


def _facts(facts: StatementFacts) -> list[tuple[str, list[str]]]:
    return [
        ("inside it", sorted(facts.kinds - {facts.kind})),
        ("tables", [_table(use) for use in facts.tables]),
        ("columns", [_column(use) for use in facts.columns]),
        ("functions", [_function(name, facts.doubtful) for name in facts.functions]),
        ("dangerous", list(facts.dangerous)),
        ("settings", list(facts.settings)),
        ("rows", _rows(facts)),
    ]


def _rows(facts: StatementFacts) -> list[str]:
    found = [] if facts.has_where else ["an UPDATE or DELETE without a WHERE that looks at a column"]
    return [*found, "limited"] if facts.has_limit else found


def _table(use: TableUse) -> str:
    return f"{use.action} {_dotted(use.schema, use.name)}{_behind(use.through)}"


def _column(use: ColumnUse) -> str:
    return f"{use.action} {_dotted(use.schema, use.table)}.{use.column}{_behind(use.through)}"


def _function(name: FunctionName, doubtful: frozenset[str]) -> str:
    harmless = "" if name.name in doubtful else ", harmless"
    return f"{_dotted(name.schema, name.name)} ({name.volatility}{harmless})"


def _dotted(schema: str | None, name: str) -> str:
    return name if schema is None else f"{schema}.{name}"


def _behind(through: Iterable[str]) -> str:
    named = ", ".join(through)
    return f" (behind {named})" if named else ""


def _question(question: Decided) -> str:
    asked = f"{question.action} on {question.resource}{_behind(question.through)}"
    shadow = f"; in shadow: {', '.join(question.shadow)}" if question.shadow else ""
    who = f"{question.who}: " if question.who else ""
    return f"{who}{asked}: {_answer(question)}{shadow}"


def _answer(question: Decided) -> str:
    rules = ", ".join(question.rules)
    if question.allowed:
        return f"permitted by {rules}" if question.needs_permit else "forbidden by nothing, and needs no permit"
    return f"forbidden by {rules}" if rules else "nothing permits it"


def _ruling(ruling: Ruling) -> str:
    match ruling:
        case Allow(_, masks, _, obligations, record):
            hidden = ", ".join(str(column) for column in sorted(masks))
            bound = "; ".join(f"{name} {', '.join(values)}" for name, values in sorted(obligations.items()))
            kept = "" if record == "full" else f", recording the {record} of rows"
            hides, binds = f", hiding {hidden}" if hidden else "", f", bound to {bound}" if bound else ""
            return f"ruling: allow{hides}{binds}{kept}"
        case Deny(reason, rule, hint):
            return f"ruling: deny by `{rule}`: {reason}" + (f" ({hint})" if hint else "")
        case Ask(reason, rules, approvers):
            wanted = ", ".join(f"{count} of {group}" for group, count in sorted(approvers.items()))
            return f"ruling: ask {wanted} because of {', '.join(rules)}: {reason}"
        case _:
            assert_never(ruling)

"""A statement as people are asked about it: its text and every parameter, so that nothing else is approved with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hoopx_broker.recording.cells import BINARY, form_of
from hoopx_broker.session import parameters
from hoopx_broker.terms.approvals import Effects
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.wire.effects import Judge


def whole_statement(asked: Judge) -> str:
    """The text, then a comment line for each parameter. Two statements that differ in anything differ here."""
    return "\n".join([asked.text.decode(), *parameter_lines(asked)])


def parameter_lines(asked: Judge) -> Iterator[str]:
    """Their values, in the order of their numbers; of binary ones also what they mean, where that is known."""
    read = parameters.as_text(asked)
    for at, value in enumerate(asked.parameters):
        shown = _shown(value, is_binary=form_of(asked.formats, at) == BINARY)
        yield f"-- ${at + 1} = {shown}{_as_read(shown, read[at])}"


def effects_of(facts: Sequence[StatementFacts]) -> Effects:
    """What these statements would do, by the facts that they were judged by."""
    actions = {action for each in facts for action in each.actions} | {
        word for each in facts for word in each.dangerous
    }
    tables = {f"{use.action} {_named(use.schema, use.name)}" for each in facts for use in each.tables}
    functions = {_named(name.schema, name.name) for each in facts for name in each.functions}
    return Effects(tuple(sorted(actions)), tuple(sorted(tables)), tuple(sorted(functions)))


def _named(schema: str | None, name: str) -> str:
    return f"{schema}.{name}" if schema else name


def _as_read(shown: str, text: str | None) -> str:
    if text is None or not shown.startswith("\\x") or text.startswith("\\x"):
        return ""
    return f" (which is {msgspec.json.encode(text).decode()})"


def _shown(value: bytes | None, *, is_binary: bool) -> str:
    if value is None:
        return "NULL"
    if not is_binary:
        try:
            return msgspec.json.encode(value.decode()).decode()  # one line, whatever it holds
        except UnicodeDecodeError:
            pass
    return f"\\x{value.hex()}"

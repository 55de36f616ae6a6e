"""Read the facts of SQL: what a text would do to a PostgreSQL server, statement by statement."""

from __future__ import annotations

from hoopx_broker.policy.facts import definitions, expressions, maintenance, queries, relations, session_commands
from hoopx_broker.policy.facts.grammar import fingerprint, statements
from hoopx_broker.policy.facts.guards import Refused, guard
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.outlines import outline
from hoopx_broker.policy.facts.statement import Statement
from hoopx_broker.policy.facts.walk import Handler, Place, Walk
from hoopx_broker.terms.facts import StatementFacts, Unreadable, too_complex

# More statements than this in one message are a script; each is judged, so each costs.
MAX_STATEMENTS = 1_000

STATEMENTS: dict[str, Statement] = (
    queries.STATEMENTS | session_commands.STATEMENTS | definitions.STATEMENTS | maintenance.STATEMENTS
)
_HANDLERS: dict[str, Handler] = {
    **expressions.HANDLERS,
    **relations.HANDLERS,
    **definitions.HANDLERS,
    **maintenance.HANDLERS,
    **{kind: statement.handle for kind, statement in STATEMENTS.items()},
}


def read(text: bytes) -> tuple[StatementFacts, ...] | Unreadable:
    """The facts of each statement in `text`, in order; `()` for comments and bare semicolons. Never raises.

    Give it what clients send only inside `facts.child`: a hostile text can kill the process that parses it.
    """
    try:
        guard(text)
        found = statements(text)
        if len(found) > MAX_STATEMENTS:
            return too_complex(f"it holds more than {MAX_STATEMENTS} statements")
        return tuple(_facts(own, node) for own, node in found)
    except Refused as refused:
        return refused.unreadable()
    except (RecursionError, MemoryError):
        return too_complex("it is nested too deeply")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as surprise:
        # The tree is not as this reader knows it: not understood, so not forwarded.
        return Unreadable(f"its tree is not as expected ({type(surprise).__name__})")


def _facts(own: bytes, node: Node) -> StatementFacts:
    ((kind, body),) = node.items()
    walk = Walk(_HANDLERS)
    known = STATEMENTS.get(kind)
    if known is None:
        walk.found.actions.add("admin")
        return walk.found.facts(kind, fingerprint(own))
    walk.wrapped(node, Place())
    walk.found.outline = outline(node)
    return walk.found.facts(known.kind_of(body), fingerprint(own))

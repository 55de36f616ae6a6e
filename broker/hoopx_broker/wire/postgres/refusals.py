"""How a refusal looks on the wire, and the refusals that the wire itself makes."""

from __future__ import annotations

from hoopx_broker.terms.entries import Statement
from hoopx_broker.terms.ids import StreamId
from hoopx_broker.terms.rulings import Deny
from hoopx_broker.wire.effects import Note
from hoopx_broker.wire.postgres import messages

NO_CONFORMING_STRINGS = Deny(
    "with `standard_conforming_strings` off, the server reads a backslash in another way",
    "parse",
    "write no backslash, or switch it on again",
)
LEXING_IN_DOUBT = Deny(
    "what was sent before it may change how the server reads this text, and the server has not answered yet",
    "parse",
    "send a Sync before it",
)
NOT_UTF8 = Deny("statements beyond ASCII are read as UTF-8 only", "parse", "set `client_encoding` to UTF8")
NO_FUNCTION = Deny("a function is called by a number that the target's catalog does not have", "parse")
PENDING = Deny(
    "what was prepared by the protocol needs an approval, or a ruling on its values, each time; SQL would run without",
    "judge",
    "run it by the protocol, or send the statement itself",
)

# The routine fields of what hoopx says: a refusal by what became of asking people, and that a statement waits for them.
DENIED, REFUSED, PENDING_STILL, WAITING = "hoopx_denied", "hoopx_refused", "hoopx_pending", "hoopx_waiting"
ANSWERS = {"": DENIED, "refused": REFUSED, "pending": PENDING_STILL}

# Where hoopx itself stopped a statement: no rule of a policy has one of these names.
_STAGES = ("parse", "judge", "mask", "record")


def headline(deny: Deny) -> str:
    """The message of a refusal; its reason and its hint stand beside it."""
    if deny.rule in _STAGES:
        return f"hoopx could not {deny.rule} this statement, so it was not forwarded"
    return f"rule `{deny.rule}` forbids this statement"


def as_error(deny: Deny) -> bytes:
    """A fault of the text is told as the server would; only its routine (psql's `\\errverbose`) says who did.

    The routine also tells a refusal from the server's own 42501, and what became of asking people.
    """
    fault = deny.fault
    if fault is None:
        routine = ANSWERS[deny.answer]
        return messages.error("ERROR", "42501", headline(deny), deny.reason, deny.hint, routine=routine)
    position = str(fault.position) if fault.position else ""
    return messages.error("ERROR", fault.code, fault.message, fault.detail, fault.hint, position, "hoopx")


def note(stream: StreamId, n: int, text: bytes, deny: Deny, took_us: int = 0) -> Note:
    ruled = ("deny", (deny.rule,), deny.reason, (), None, deny.shadow)
    return Note(Statement(stream, n, readable(text), *ruled, deny.touched.effects, deny.touched.tables, took_us))


def readable(text: bytes) -> str:
    """A statement for the recording, whatever its encoding."""
    return text.decode(errors="backslashreplace")

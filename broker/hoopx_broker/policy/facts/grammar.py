"""The door to libpg_query, the server's own grammar as a C library: text in, JSON tree out."""

from __future__ import annotations

import ctypes
from typing import Any

import msgspec
from postgast.native import PgQueryParseResult, lib

from hoopx_broker.policy.facts.faults import fault
from hoopx_broker.policy.facts.guards import Refused, TooComplex
from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.terms.facts import Fault, Unreadable

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_blocks = msgspec.json.Decoder(list[dict[str, Any]]).decode

# Exported by the library, but not declared by the package that carries it.
lib.pg_query_parse_opts.argtypes = [ctypes.c_char_p, ctypes.c_int]
lib.pg_query_parse_opts.restype = PgQueryParseResult


def statements(text: bytes) -> list[tuple[bytes, Node]]:
    """Each statement's own text and its node (`{"SelectStmt": {…}}`); none for comments and bare semicolons.

    The C parser recurses: an overlong chain of operators overflows a common stack and kills the process, which is
    why a broker calls this in a child process with a large one. Raises `Refused`.
    """
    found: list[Node] = _tree(text).get("stmts", [])
    return [(_own_text(text, raw), raw["stmt"]) for raw in found if raw.get("stmt")]


def fingerprint(text: bytes) -> str:
    """16 hexadecimal digits that texts of the same structure share, whatever their constants."""
    result = lib.pg_query_fingerprint(text)
    try:
        if result.error:
            raise Refused("it cannot be fingerprinted")
        return bytes(result.fingerprint_str).decode()
    finally:
        lib.pg_query_free_fingerprint_result(result)


def part(text: bytes, mode: int) -> list[Node]:
    """The nodes of a piece of PL/pgSQL: `mode` says which kind it is, by the numbers of PostgreSQL's RawParseMode."""
    found: list[Node] = _tree(text, mode).get("stmts", [])
    return [raw["stmt"] for raw in found if raw.get("stmt")]


def blocks(statement: bytes) -> list[Node]:
    """The PL/pgSQL of a DO statement as a tree of its own kind. Raises `Refused`, also where only a name is unknown."""
    result = lib.pg_query_parse_plpgsql(statement)
    try:
        if result.error:
            raise Refused("its block is not PL/pgSQL that can be read")
        return _decode_blocks(result.plpgsql_funcs)
    except RecursionError:
        raise TooComplex("it is nested too deeply") from None
    finally:
        lib.pg_query_free_plpgsql_parse_result(result)


def _tree(text: bytes, mode: int = 0) -> Node:
    result = lib.pg_query_parse_opts(text, mode)
    try:
        if result.error:
            raise _complaint(result.error.contents)
        return _decode(result.parse_tree)
    except RecursionError:
        raise TooComplex("it is nested too deeply") from None
    finally:
        lib.pg_query_free_parse_result(result)


def _own_text(text: bytes, raw: Node) -> bytes:
    """The slice that the grammar says is this statement; offsets are in bytes, a missing length means the rest."""
    start = raw.get("stmt_location", 0)
    length = raw.get("stmt_len", 0)
    return text[start : start + length] if length else text[start:]


class NotGrammar(Refused):
    """The grammar does not take the text, and so no server would: it is told what the server would have said.

    The message of the server quotes the text (`at or near "…"`), and that may be a value: only the client, who sent it,
    is to see it. Of the exception itself everybody may.
    """

    def __init__(self, fault: Fault) -> None:
        what = "syntax error" if fault.message.startswith("syntax error") else "the PostgreSQL grammar refuses it"
        super().__init__(f"{what} at character {fault.position}" if fault.position else what)
        self._fault = fault

    def unreadable(self) -> Unreadable:
        return Unreadable(str(self), self._fault)


def _complaint(error: Any) -> Refused:
    message, position = bytes(error.message).decode(errors="replace"), max(error.cursorpos, 0)
    if message.startswith(("memory exhausted", "stack depth limit exceeded", "out of memory")):
        return TooComplex("it is nested too deeply")
    return NotGrammar(fault(message, position, bytes(error.funcname or b"").decode()))

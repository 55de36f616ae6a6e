"""What the server itself would say of a text that its grammar refuses.

libpg_query tells message and place, but not SQLSTATE and hint. Those are PostgreSQL's own, listed here by message.
"""

from __future__ import annotations

import re

from hoopx_broker.terms.facts import Fault

_SYNTAX_ERROR = "42601"
# Everything else that the grammar (gram.y), the lexer (scan.l) and the text's encoding can raise.
_CODES = {
    "0A000": r"UNENCRYPTED PASSWORD is|CREATE SCHEMA IF NOT EXISTS cannot|current database cannot be changed"
    r"|constraints cannot be altered|MATCH PARTIAL|a column list with|CREATE EXTENSION \.\.\. FROM"
    r"|CREATE OR REPLACE CONSTRAINT TRIGGER|CREATE ASSERTION|dropping an enum value|aggregates cannot have output"
    r"|WITH CHECK OPTION not supported|only string constants are supported in JSON_TABLE|UNIQUE predicate"
    r"|an ordered-set aggregate with a VARIADIC|[A-Z ]+ constraints cannot be marked",
    "22021": "invalid byte sequence for encoding",
    "22023": "column number must be in range|precision for type float|unrecognized JSON encoding"
    "|unrecognized partitioning strategy",
    "42710": "(modulus|remainder) for hash partition provided",
    "42939": r'role name "|[A-Z_]+ cannot be used as a role name here',
    "42P20": "frame (start|end)",
}
_PATTERNS = tuple((re.compile(pattern), code) for code, pattern in _CODES.items())
_HINTS = {
    "UNENCRYPTED PASSWORD is": "Remove UNENCRYPTED to store the password in encrypted form instead.",
    "unrecognized row security option": "Only PERMISSIVE or RESTRICTIVE policies are supported currently.",
    "missing argument": "Use NONE to denote the missing argument of a unary operator.",
    "LIMIT #,# syntax": "Use separate LIMIT and OFFSET clauses.",
}
_DETAILS = {
    "invalid publication object list": "One of TABLE or TABLES IN SCHEMA must be specified before a standalone table"
    " or schema name.",
}
# In E'…' the lexer finds it, in U&'…' a later step, with another code.
_ESCAPE = {
    "core_yylex": ("22025", r"Unicode escapes must be \uXXXX or \UXXXXXXXX."),
    "str_udeescape": (_SYNTAX_ERROR, r"Unicode escapes must be \XXXX or \+XXXXXX."),
}
# The routine that says `… at or near "…"`, where the text's own words follow.
_ABOUT_A_PLACE = "scanner_yyerror"


def fault(message: str, position: int, routine: str) -> Fault:
    """`routine` is the function of PostgreSQL's source that said it."""
    if routine == _ABOUT_A_PLACE:
        return Fault(_SYNTAX_ERROR, message, position)
    if message == "invalid Unicode escape" and routine in _ESCAPE:
        code, hint = _ESCAPE[routine]
        return Fault(code, message, position, "", hint)
    code = next((code for pattern, code in _PATTERNS if pattern.match(message)), _SYNTAX_ERROR)
    return Fault(code, message, position, _beside(message, _DETAILS), _beside(message, _HINTS))


def _beside(message: str, texts: dict[str, str]) -> str:
    return next((text for start, text in texts.items() if message.startswith(start)), "")

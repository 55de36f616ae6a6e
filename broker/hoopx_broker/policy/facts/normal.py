"""A statement without its values, for those who may know what it does and not what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import postgast

from hoopx_broker.policy.facts.guards import MAX_BYTES

# Longer is nothing that a message in a chat holds; what is beyond is cut.
MAX_NORMAL = 2_000

_LITERALS = frozenset({"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"})
_COMMENTS = frozenset({"SQL_COMMENT", "C_COMMENT"})
_NAMES = frozenset({"IDENT", "UIDENT"})
# In double quotes stand names, and the values of whoever thinks of another database.
_SURE_NAME = re.compile(r'"?[^\W\d][\w$]*"?')
_UNSURE_NAME = '"…"'


def normal(text: bytes) -> str:
    """The tokens of `text` on one line: `$1`, `$2`, … for its literals, no comments; empty where it has no tokens.

    By the lexer and not by the tree: there is no place in any statement where a literal could stand and be missed.
    Parameters of the statement keep their numbers, literals are counted on from there. Never raises. Give it what
    clients send only inside `facts.child`.
    """
    if len(text) > MAX_BYTES or b"\0" in text:
        return ""
    try:
        found = postgast.scan(text.decode()).tokens
        tokens = [(_kind(token), text[token.start : token.end].decode()) for token in found]
    except (postgast.PgQueryError, UnicodeDecodeError, ValueError, MemoryError):
        return ""
    whole = " ".join(_shown(tokens))
    return whole if len(whole) <= MAX_NORMAL else whole[: MAX_NORMAL - 1] + "…"


def _kind(token: object) -> str:
    return str(postgast.pg_query_pb2.Token.Name(token.token))  # type: ignore[attr-defined]


def _shown(tokens: list[tuple[str, str]]) -> Iterator[str]:
    number = max((int(word[1:]) for kind, word in tokens if kind == "PARAM" and word[1:].isdigit()), default=0)
    for kind, word, is_setting in _with_settings(tokens):
        if kind in _LITERALS or (is_setting and (kind in _NAMES or word.isalpha())):
            number += 1
            yield f"${number}"
        elif kind in _NAMES and not _SURE_NAME.fullmatch(word):
            yield _UNSURE_NAME
        elif kind not in _COMMENTS:
            yield word


def _with_settings(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str, bool]]:
    """Each token, and whether it is what something is set to: `SET x = word` takes bare words for values."""
    first = ""
    sets = is_value = False
    for kind, word in tokens:
        if word == ";":
            first, sets, is_value = "", False, False
        elif kind not in _COMMENTS:
            yield kind, word, is_value
            first = first or kind
            sets = sets or (kind == "SET" and first in ("SET", "ALTER"))
            is_value = is_value or (sets and (word == "=" or kind == "TO"))
            continue
        yield kind, word, False

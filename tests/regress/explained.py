"""Why outputs of the suites may differ between the direct way and hoopx; any other difference fails the lane."""

from __future__ import annotations

import re

from msgspec import Struct

from tests.regress.compare import Hunk


class Reason(Struct, frozen=True):
    """A known difference: the lines of each side, joined by newlines, match its patterns as a whole."""

    name: str
    files: frozenset[str]
    direct: str
    through: str


# hoopx answers a text that is no statement itself, by the grammar of the newest server.
_WORDS = "the grammar of PostgreSQL 18 has other words, or a place, for an error of an older server"
# The server reads a backslash there in another way than the grammar that judges.
_BACKSLASH = "with `standard_conforming_strings` off hoopx takes no text with a backslash"
_ENCODING = "hoopx closes a stream whose encoding is neither UTF-8 nor of single bytes"
_COUNTED = "counters of the whole server count hoopx's own connection too, which reads the catalog"

_CODE = re.compile(r"^([A-Z]+:  )[0-9A-Z]{5}: ", re.MULTILINE)  # the SQLSTATE in verbose output
_ANYTHING = "(?s:.*)"
_PLACE = r"LINE \d+: .*\n *\^"
_REFUSED = (
    r"ERROR:  hoopx could not parse this statement, so it was not forwarded\n"
    r"DETAIL:  with `standard_conforming_strings` off, .*\nHINT:  .*"
)
_UNMADE = (
    r"ERROR:  function strtest\(\) does not exist\nLINE 1: select strtest\(\);\n *\^\nHINT:  No function matches.*"
)

REASONS: tuple[Reason, ...] = (
    Reason(_WORDS, frozenset({"create_table", "limit"}), "", _PLACE),
    Reason(
        _WORDS,
        frozenset({"foreign_key"}),
        "ERROR:  FOREIGN KEY constraints cannot be marked NOT VALID",
        rf"ERROR:  constraints cannot be altered to be NOT VALID\n{_PLACE}",
    ),
    Reason(_BACKSLASH, frozenset({"strings", "plpgsql"}), _ANYTHING, _REFUSED),
    Reason(_BACKSLASH, frozenset({"plpgsql"}), _ANYTHING, _UNMADE),
    # Without a backslash, but refused by the server for the sake of the same setting; two hunks of one error.
    Reason(
        _BACKSLASH,
        frozenset({"strings"}),
        "ERROR:  unsafe use of string constant with Unicode escapes",
        r"""ERROR:  invalid Unicode escape character at or near "'\+'\"""",
    ),
    Reason(
        _BACKSLASH,
        frozenset({"strings"}),
        r" *\^\nDETAIL:  String constants with Unicode escapes cannot be .*",
        r" *\^",
    ),
    Reason(
        _ENCODING,
        frozenset({"copyencoding"}),
        r"COPY copy_encoding_tab FROM (?s:.*)",
        r"FATAL:  hoopx closes this connection: the client encoding was changed (?s:.*)",
    ),
    Reason(_COUNTED, frozenset({"stats"}), " f", " t"),
)


def explain(name: str, hunk: Hunk) -> str | None:
    """The name of the reason that is known for this difference in this file."""
    direct, through = (_CODE.sub(r"\1", "\n".join(lines)) for lines in (hunk.direct, hunk.through))
    for reason in REASONS:
        if name in reason.files and re.fullmatch(reason.direct, direct) and re.fullmatch(reason.through, through):
            return reason.name
    return None

"""How a COPY to the client writes its rows, by its options in every spelling; None where that is not sure."""

from __future__ import annotations

from msgspec import structs

from hoopx_broker.policy.facts.nodes import Node
from hoopx_broker.policy.facts.walk import names
from hoopx_broker.terms.encodings import is_utf8
from hoopx_broker.terms.facts import CopyStyle

_TEXT = CopyStyle("text", delimiter="\t", null="\\N", header=False, quote='"', escape='"')
_DEFAULTS = {
    "text": _TEXT,
    "csv": structs.replace(_TEXT, format="csv", delimiter=",", null=""),
    "binary": structs.replace(_TEXT, format="binary"),
}
# What every server knows for COPY TO.
_KNOWN = frozenset({"format", "delimiter", "null", "header", "quote", "escape", "encoding"})
_YES, _NO = ("true", "on", "1"), ("false", "off", "0")
# An option without a value. The server refuses all of these but HEADER.
_ON = {"Boolean": {"boolval": True}}
_LINE_ENDS = "\r\n"
# What stands for something else behind a backslash, so that the server takes none of it for a delimiter of text.
_NO_DELIMITER = "\\.abcdefghijklmnopqrstuvwxyz0123456789" + _LINE_ENDS


def copy_style(body: Node) -> CopyStyle | None:
    """Of a `CopyStmt`. None also for options that no server takes: then there is nothing to read."""
    options = _options(body.get("options", []))
    if options is None or not options.keys() <= _KNOWN or not is_utf8(options.pop("encoding", "utf8")):
        return None
    default = _DEFAULTS.get(options.pop("format", "text"))
    header = _choice(options.pop("header", "off"))
    if default is None or header is None:
        return None
    if "quote" in options:
        options.setdefault("escape", options["quote"])
    columns = tuple(names(body.get("attlist", [])))
    style = structs.replace(default, header=header, columns=columns, **options)
    return style if _is_sound(style) else None


def _options(items: list[Node]) -> dict[str, str] | None:
    """Texts by names, which the old spellings share with the new; None where one is said twice or is no text.

    FORCE_QUOTE is left out: it only adds quotes, and a reader of csv sees those for itself.
    """
    said = [item["DefElem"] for item in items if item["DefElem"]["defname"] != "force_quote"]
    texts = {option["defname"]: _text(option.get("arg", _ON)) for option in said}
    options = {name: text for name, text in texts.items() if text is not None}
    return options if len(options) == len(said) else None


def _text(value: Node) -> str | None:
    """As the server makes texts of words, strings and numbers."""
    ((kind, inner),) = value.items()
    match kind:
        case "String":
            return str(inner.get("sval", ""))
        case "Integer":
            return str(inner.get("ival", 0))
        case "Float":
            return str(inner["fval"])
        case "Boolean":
            return "on" if inner.get("boolval") else "off"
        case _:  # it makes one of a list too, but nobody means that
            return None


def _choice(value: str) -> bool | None:
    value = value.lower()
    return True if value in _YES else False if value in _NO else None


def _is_sound(style: CopyStyle) -> bool:
    """Can rows in this style be told apart again? The server itself lets a csv escape with its line ends."""
    marks = (style.delimiter, style.quote, style.escape)
    # Beyond ASCII it depends on two encodings which bytes these are.
    if not all(len(mark) == 1 for mark in marks) or not "".join((*marks, style.null)).isascii():
        return False
    if any(end in style.null for end in _LINE_ENDS) or style.delimiter in style.null:
        return False
    if style.format != "csv":
        return style.delimiter not in _NO_DELIMITER
    apart = style.delimiter not in (style.quote, style.escape) and style.quote not in style.null
    return apart and not any(mark in _LINE_ENDS for mark in marks)

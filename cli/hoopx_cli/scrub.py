"""Take secrets out of what is about to be shown or kept: those that this process holds, and what looks like one."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping, Sequence

from hoopx_broker.terms.secret import Secret

GONE = "<secret>"
# What cannot be anything else: web tokens, passwords in URLs, long bearer tokens, private keys.
_CERTAIN = (
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|(?<=://)[^\s/@'\"`]*:[^\s/@]+(?=@)"
    r"|(?i:\b(?:bearer|dpop))\s+(?=[^\s]*\d)[\w.~+/=-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|AGE-SECRET-KEY-1\w+"
)
# What may be something else; a trace can do without it.
_LIKELY = (
    r"|(?i:\b(?:bearer|dpop|basic))\s+[^\s'\"`,;)]+"
    r"|(?i:[\w-]*(?:password|passwd|token|secret|api_?key)[\w-]*['\"]?\s*[=:]\s*)['\"]?[^\s'\"`,;)}]+"
)
_IN_ERRORS = re.compile(_CERTAIN, re.DOTALL)
_IN_TRACES = re.compile(_CERTAIN + _LIKELY, re.DOTALL)
# Variables of the environment that hold a secret say so in their names.
_NAMED = re.compile(r"(?i)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|_KEY|JWT)(_|$|V\d)")
# A shorter secret is no secret, and would tear holes into words.
_SHORTEST = 4


def scrub(text: str, environ: Mapping[str, str]) -> str:
    """The text without the values of every `Secret` alive, of the environment's secrets, and of what looks like one.

    All are looked for in the text as it is: what covers a part of another would hide it, and leave the rest.
    """
    held = (span for value in {*_held(), *_given(environ)} for span in _places(value, text))
    return _covered(text, [*held, *_spans(_IN_TRACES, text)])


def certain(text: str) -> str:
    """The text without what can only be a secret; this much is done to every error that is told."""
    return _covered(text, [*_spans(_IN_ERRORS, text)])


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """What names a secret stays: `password=<secret>`."""
    for found in pattern.finditer(text):
        named = re.match(r"[\w-]+['\"]?(?:\s*[=:]\s*['\"]?|\s+)", found[0])
        yield found.start() + (named.end() if named else 0), found.end()


def _places(value: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = text.find(value, at + 1)


def _covered(text: str, spans: Sequence[tuple[int, int]]) -> str:
    told, end = "", 0
    for first, last in sorted(spans):
        if first > end or not told:
            told += text[end:first] + GONE
        end = max(end, last)
    return told + text[end:]


def _held() -> Iterator[str]:
    """Asked for in trouble only: the collector knows every object that a secret may be."""
    for one in gc.get_objects():
        if type(one) is Secret and len(one.reveal()) >= _SHORTEST:
            yield one.reveal()


def _given(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of the environment that are secrets; a file's path or a URL is none."""
    for name, value in environ.items():
        if _NAMED.search(name) and not name.endswith(("_FILE", "_URL")) and len(value) >= _SHORTEST:
            yield value

"""Read the class of a column from what its database says of it: the comment, and the security labels."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

# What a column holds, as policies name it; the configuration's `classify` takes the same.
CLASS_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# The class of a column that was to have one, in words that nobody can read: it is masked as any other.
UNREADABLE = "unreadable-label"
# The class of a column that PostgreSQL Anonymizer masks, in its own way.
MASKED = "masked"
# A comment is a paragraph, not a document. What was to be said further on counts as unreadable.
MAX_TEXT = 10_000

# In any case of letters, so that `Hoopx:email` is not taken for no word at all. `https://hoopx:8443` is none.
_WORD = re.compile(r"(?<![\w./@-])hoopx:(\S*)", re.IGNORECASE | re.ASCII)
# What a sentence puts behind its last word.
_PUNCTUATION = ".,;:!?)]}'\"`"
# Its policies have the names of providers, of which `anon` is only the first: any provider may say it.
_ANONYMIZER = re.compile(r"\s*MASKED\s+WITH\b", re.IGNORECASE | re.ASCII)


class Label(Struct, frozen=True, order=True):
    """What is said of a column: a comment, whose `provider` is empty, or the security label of a provider."""

    provider: str
    text: str


def class_of(labels: Iterable[Label]) -> str | None:
    """The class of a column of which all this is said, None where nothing classifies it.

    The first word `hoopx:CLASS` counts, of the comment, and then of the labels in the order of their providers.
    """
    said = sorted(labels)
    words = (word for label in said if (word := _word(label.text)) is not None)
    anonymized = any(label.provider and _ANONYMIZER.match(label.text) for label in said)
    return next(words, MASKED if anonymized else None)


def _word(text: str) -> str | None:
    """The first word's class. A text that is too long says nothing beyond its bound, and so nothing that is sure."""
    found = _WORD.search(text, 0, MAX_TEXT)
    if found is None:
        return UNREADABLE if len(text) > MAX_TEXT else None
    name = found[1].rstrip(_PUNCTUATION)
    is_whole = found.end() < MAX_TEXT or len(text) == MAX_TEXT
    return name if is_whole and CLASS_NAME.fullmatch(name) else UNREADABLE

"""What a session is found by, read out of its entries: the same for the index and for whoever reads recordings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hoopx_broker.storage.marks import Kind, Mark
from hoopx_broker.terms.entries import Entry, Executed, Notice, Opened, Statement

# Longer names are kept by their beginning, and looked for by it.
MAX_MARK = 100
MIN_WORD = 2

# `public.customers`, `ann@example.com` and `2026-01-31` are words, and so is each of their parts; the first of them may
# be written `"public"."customers"`. Of what is longer than `MAX_MARK`, each stretch is a word of its own.
_WORD = re.compile(r'\w(?:(?:[\w@.\-]|"\.")' + f"{{0,{MAX_MARK - 2}}}" + r"\w)?")
_PART = re.compile(r"\w+")

# How many of one kind are kept of one session. Whoever uses more is found by their recording, which takes longer.
ROOM: dict[Kind, int] = {
    "table": 1_000,
    "effect": 50,
    "rule": 200,
    "ruling": 10,
    "request": 500,
    "approver": 200,
    "ticket": 1,
    "reason": 300,
    "word": 2_000,
}


def mark(kind: Kind, text: str) -> Mark:
    """Upper and lower case are the same to whoever looks for something."""
    plain = text if text.isascii() else text.encode(errors="replace").decode()
    return Mark(kind, plain.replace("\0", "").lower()[:MAX_MARK])


def words(text: str) -> Iterator[str]:
    """The words of a statement or a reason, each as often as it comes."""
    for found in _WORD.finditer(text):
        word = found[0].replace('"."', ".").lower()
        if len(word) >= MIN_WORD:
            yield word[:MAX_MARK]
        parts = _PART.findall(word)
        if len(parts) > 1:
            yield from (part[:MAX_MARK] for part in parts if len(part) >= MIN_WORD)


def table_marks(table: str) -> Iterator[Mark]:
    """By its whole name, and by its own without the schema. `read public.customers` is about `public.customers`."""
    done, _, used = table.partition(" ")
    name = used if used and done in _DONE else table
    yield mark("table", name)
    if "." in name:
        yield mark("table", name.rpartition(".")[2])


_DONE = frozenset({"read", "insert", "update", "delete", "truncate", "ddl", "lock"})


def marks_of(entry: Entry, *, keeps_words: bool) -> Iterator[Mark]:
    """All that this entry lets its session be found by; nothing of most entries."""
    match entry:
        case Statement():
            yield mark("ruling", entry.ruling)
            yield from (mark("rule", rule) for rule in entry.rules)
            yield from (mark("effect", effect) for effect in entry.effects)
            for table in entry.tables:
                yield from table_marks(table)
            yield from (mark("request", request) for request in (entry.request,) if request)
            if keeps_words:
                yield from (Mark("word", word) for word in words(entry.text))
        case Executed(request=request) if request:
            yield mark("request", request)
        case Notice(approval=approval) if approval is not None:
            if approval.request:
                yield mark("request", approval.request)
            if approval.event == "approve" and approval.by:
                yield mark("approver", approval.by)
        case Opened():
            yield from _of_opening(entry)
        case _:
            pass


def _of_opening(entry: Opened) -> Iterator[Mark]:
    yield from (mark("rule", rule) for rule in entry.rules)
    yield from (mark("approver", approver) for approver in entry.approved_by)
    yield from (mark("request", request) for request in (entry.request,) if request)
    yield from (mark("ticket", ticket) for ticket in (entry.ticket,) if ticket)
    yield from (Mark("reason", word) for word in words(entry.reason))


class Gathering:
    """The marks of one session, each once and of each kind only so many."""

    def __init__(self, *, keeps_words: bool) -> None:
        self._keeps_words = keeps_words
        self._known: dict[Kind, set[str]] = {kind: set() for kind in ROOM}
        self.has_more = False

    def take(self, entry: Entry) -> list[Mark]:
        """What is new."""
        fresh: list[Mark] = []
        is_full_of_words = self.has_more and len(self._known["word"]) >= ROOM["word"]
        for found in marks_of(entry, keeps_words=self._keeps_words and not is_full_of_words):
            known = self._known[found.kind]
            if found.text in known:
                continue
            if len(known) < ROOM[found.kind]:
                known.add(found.text)
                fresh.append(found)
                continue
            self.has_more = True
            if found.kind == "word":  # they come last
                break
        return fresh

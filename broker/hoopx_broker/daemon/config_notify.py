"""Read `notify`: who is told of requests, of which ones, and how."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import get_args

from hoopx_broker.daemon import values
from hoopx_broker.daemon.plugins import notifier_class
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.seams.notifier import Notifier
from hoopx_broker.terms.approvals import RequestKind
from hoopx_broker.terms.settings import Notify
from hoopx_broker.terms.targets import Target

EVENTS = (
    "asked",
    "approve",
    "deny",
    "approved",
    "denied",
    "cancelled",
    "expired",
    "used",
    "broken-glass",
    "accept",
    "object",
    "reviewed",
)
# Single words of people, and the use of what was approved, are for those who ask for them.
DEFAULT_EVENTS = ("asked", "approved", "denied", "cancelled", "expired", "broken-glass", "reviewed")
KINDS: tuple[str, ...] = get_args(RequestKind)

MAX_GIVE_UP = 7 * 86_400
# What every entry may hold; the rest is the plugin's.
_COMMON = ("name", "kind", "events", "kinds", "groups", "targets", "labels", "give_up", "fresh")


def read_notify(top: Section, targets: Mapping[str, Target]) -> tuple[Notify, ...]:
    """None where nobody is told."""
    if not top.asks("notify"):
        return ()
    known = tuple(sorted(name for name in targets if name is not HOLE))
    found = tuple(_entry(section, known) for section in top.items("notify"))
    names = [entry.name for entry in found if entry.name is not HOLE]
    for name in sorted({name for name in names if names.count(name) > 1}):
        top.note("notify", f"has two entries with the name `{name}`", "give one of them another name")
    return found


def _entry(section: Section, targets: tuple[str, ...]) -> Notify:
    name = section.parsed("name", values.name)
    kind, plugin = section.parsed("kind", _plugin) or (HOLE, None)
    entry = Notify(
        name=name,
        kind=kind,
        options=section.options(plugin.Options, _COMMON) if plugin is not None else HOLE,
        events=section.texts_or("events", DEFAULT_EVENTS, _one_of("event", EVENTS)),
        kinds=section.texts_or("kinds", (), _one_of("kind of request", KINDS)),
        groups=section.texts_or("groups", (), values.group_name),
        targets=section.texts_or("targets", (), _one_of("target", targets)),
        labels=_labels(section.section_or_none("labels")),
        give_up=section.parsed_or("give_up", _give_up, 86_400),
        fresh=section.parsed_or("fresh", values.duration, 12 * 3600),
    )
    if plugin is not None:  # of an unknown plugin, nobody knows which keys are known
        section.close()
    return entry


def _plugin(text: str) -> tuple[str, type[Notifier]]:
    return text, notifier_class(text)


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            near = difflib.get_close_matches(text, known, n=1)
            listed = ", ".join(f"`{each}`" for each in known)
            raise Wrong(f"is no {what}", f"did you mean `{near[0]}`?" if near else f"known are {listed}")
        return text

    return parse


def _labels(section: Section | None) -> dict[str, str]:
    return {key: value for _, key, value in section.pairs(values.name, str)} if section else {}


def _give_up(text: str) -> int:
    seconds = values.duration(text)
    if seconds > MAX_GIVE_UP:
        raise Wrong("is longer than seven days", "write for example `24h`: what is older is no news")
    return seconds

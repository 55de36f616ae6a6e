"""The page that `--help` prints of a command or a group: an example, the line, what it does, what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from textwrap import dedent, wrap

from hoopx_cli import menu
from hoopx_cli.places import REQUIRED, Place

# A longer name has its text below it.
_LONGEST_NAME = 30
_NARROWEST = 48


def page(path: str, doc: str, places: Sequence[Place], more: str = "", commands: Sequence[tuple[str, str]] = ()) -> str:
    """`doc` begins with the example; `more` is what else may stand on the line; `commands` those of a group."""
    example, text = _parts(doc)
    width = max(min(menu.room(), menu.WIDEST) - 2, _NARROWEST)
    sections = [
        [example],
        _usage(path, places, more, width),
        *(_wrapped(" ".join(each.split()), width, "  ") for each in text.split("\n\n") if each),
        _listed("Arguments", [(place.metavar, _told(place)) for place in places if not place.is_option], width),
        _listed("Options", [(_spelled(place), _told(place)) for place in places if place.is_option], width),
        _listed("Commands", commands, width),
    ]
    return "\n\n".join("\n".join(section) for section in sections if section)


def summary(doc: str) -> str:
    """The first sentence behind the example."""
    sentence, _, _ = " ".join(_parts(doc)[1].split()).partition(". ")
    return sentence.rstrip(".") + "."


def _parts(doc: str) -> tuple[str, str]:
    example, _, text = doc.partition("\n")
    return example, dedent(text).strip()


def _usage(path: str, places: Sequence[Place], more: str, width: int) -> list[str]:
    arguments = (
        f"[{place.metavar}]" if not place.is_required and not place.metavar.startswith("[") else place.metavar
        for place in places
        if not place.is_option
    )
    head = f"Usage: {path} "
    line = " ".join(["[OPTIONS]", *arguments, more]).strip()
    return wrap(line, width, initial_indent=head, subsequent_indent=" " * len(head))


def _listed(title: str, rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Names in one column, what they are in another."""
    if not rows:
        return []
    column = min(max(len(name) for name, _ in rows), _LONGEST_NAME) + 4
    return [f"{title}:", *(line for name, text in rows for line in _row(name, text, column, width))]


def _row(name: str, text: str, column: int, width: int) -> Iterator[str]:
    head, *rest = _wrapped(text, max(width - column, 10) if text else width, "")
    if len(name) > _LONGEST_NAME:
        yield f"  {name}"
        yield " " * column + head
    else:
        yield f"  {name}".ljust(column) + head
    yield from (" " * column + line for line in rest)


def _spelled(place: Place) -> str:
    return " ".join(filter(None, [", ".join(place.names), "" if place.is_flag else place.metavar]))


def _told(place: Place) -> str:
    default = place.default.value if isinstance(place.default, Enum) else place.default
    facts = [f"default: {default:g}" if isinstance(default, float) else f"default: {default}"] if _shows(place) else []
    facts += [place.range] if place.range else []
    facts += ["required"] if place.default is REQUIRED else []
    return place.help + (f"  [{'; '.join(facts)}]" if facts else "")


def _shows(place: Place) -> bool:
    return not place.is_flag and place.default not in (None, "", [], REQUIRED)


def _wrapped(text: str, width: int, margin: str) -> list[str]:
    return wrap(
        text, width, initial_indent=margin, subsequent_indent=margin, break_long_words=False, replace_whitespace=False
    ) or [""]

"""Read a command's line: which word is the value of which place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.nearest import nearest
from hoopx_cli.places import Place


def read(words: Sequence[str], places: Sequence[Place]) -> dict[str, Any]:
    """The values of places that were given. Options and arguments mix; behind `--` there are arguments only.

    Raises `BadInput` for words that fit nowhere. What is missing is not looked at: see `demand`.
    """
    given: dict[str, Any] = {}
    options = {name: place for place in places for name in place.names}
    loose: list[str] = []
    coming = iter(words)
    for word in coming:
        if word == "--":
            loose += coming
        elif word.startswith("-") and word != "-":
            for place, text in _options(word, options, coming):
                _put(given, place, True if place.is_flag else place.value(text))
        else:
            loose.append(word)
    for place in places:
        if not place.is_option:
            mine, loose = (loose, []) if place.is_many else (loose[:1], loose[1:])
            for text in mine:
                _put(given, place, place.value(text))
    if loose:
        raise BadInput(f"`{loose[0]}` is one word too many")
    return given


def demand(given: dict[str, Any], places: Sequence[Place]) -> None:
    """Raises `BadInput` where a place has no value and needs one."""
    for place in places:
        if place.is_required and place.name not in given:
            raise BadInput(f"{place} is missing")


def first_loose(words: Sequence[str], places: Sequence[Place]) -> int:
    """Where the first word stands that is no option and no option's value; behind the last where there is none."""
    options = {name: place for place in places for name in place.names}
    coming = iter(words)
    at = 0
    for word in coming:
        if not word.startswith("-"):
            return at
        at += 1
        if word in options and not options[word].is_flag:
            at += 1
            next(coming, None)
    return min(at, len(words))


def _options(word: str, options: dict[str, Place], coming: Iterator[str]) -> Iterator[tuple[Place, str]]:
    """`--name`, `--name=value`, `--name value`; `-n`, `-nvalue`, `-n value`; and flags together, `-qv`."""
    if word.startswith("--"):
        name, sign, value = word.partition("=")
        place = _known(name, options)
        if place.is_flag and sign:
            raise BadInput(f"{place} takes no value")
        yield place, value if sign or place.is_flag else _next(place, coming)
        return
    letters = word[1:]
    while letters:
        place, letters = _known(f"-{letters[0]}", options), letters[1:]
        if place.is_flag:
            yield place, ""
        else:
            yield place, letters or _next(place, coming)
            return


def _known(name: str, options: dict[str, Place]) -> Place:
    if name in options:
        return options[name]
    near = nearest(name, options)
    raise BadInput(f"there is no option `{name}`" + (f"; did you mean `{near}`?" if near else ""))


def _next(place: Place, coming: Iterator[str]) -> str:
    value = next(coming, None)
    if value is None:
        raise BadInput(f"{place} takes a value: {place.metavar}")
    return value


def _put(given: dict[str, Any], place: Place, value: Any) -> None:
    """The last one counts, except where several may be given."""
    if place.is_many:
        given.setdefault(place.name, []).append(value)
    else:
        given[place.name] = value

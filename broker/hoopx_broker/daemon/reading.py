"""Ask a section of the configuration for its values; whatever is wrong is noted, and the asking goes on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from hoopx_broker.daemon.problems import Problems, Wrong
from hoopx_broker.daemon.references import References
from hoopx_broker.daemon.yaml_marks import Marked
from hoopx_broker.terms.secret import Secret

T = TypeVar("T")
D = TypeVar("D")

# Stands where a value should be but is wrong. Its problem is noted, so nobody ever gets a configuration with a hole.
HOLE: Any = None

# Enough of a value to find it by; the rest of a pasted certificate helps nobody.
MAX_SHOWN = 80
# Files that options of plugins name: certificates of an authority, a token; not a log by mistake.
MAX_OPTION_FILE = 1024 * 1024

_AT = re.compile(r" - at `\$([^`]*)`$")


class Section:
    """A mapping of the file. Each method takes one key; `close` reports the keys that nobody asked for.

    A section whose value is None is missing or empty, which is noted already: it answers holes and notes nothing more.
    """

    def __init__(self, marked: Marked, problems: Problems, references: References) -> None:
        self._marked = marked
        self._problems = problems
        self._references = references
        self._asked: list[str] = []
        self._values: dict[str, Marked] = {}
        if isinstance(marked.value, dict):
            self._values = marked.value
        elif marked.value is not None:
            self._wrong(marked, f"must be a section of keys and values, {_kind(marked.value)}")

    def has(self, key: str) -> bool:
        return key in self._values

    def note(self, key: str, what: str, remedy: str = "") -> None:
        """Note a problem of `key`, or of the section itself where `key` is not in it."""
        found = self._values.get(key)
        line = found.line if found else self._marked.line
        self._problems.note(line, self._way(key), what, remedy)

    def refuse(self, key: str, what: str, remedy: str) -> None:
        """Note that a key, known as such, must not stand here."""
        self._asked.append(key)
        self.note(key, what, remedy)

    def text(self, key: str) -> str:
        return self.parsed(key, str)

    def text_or(self, key: str, default: D) -> str | D:
        return self.text(key) if self._asks(key) else default

    def parsed(self, key: str, parse: Callable[[str], T]) -> T:
        """A text, its reference followed, as `parse` reads it."""
        found = self._required(key)
        return self._parsed(found, parse) if found else HOLE

    def parsed_or(self, key: str, parse: Callable[[str], T], default: D) -> T | D:
        return self.parsed(key, parse) if self._asks(key) else default

    def unfollowed_or(self, key: str, parse: Callable[[str], T], default: str) -> T:
        """A text whose beginning has a meaning of its own (`sqlite:`, `file:`), so that it is never a reference."""
        marked = self._required(key) if self._asks(key) else Marked(self._marked.line, self._way(key), default)
        return self._parsed(marked, parse, follow=_as_written) if marked else HOLE

    def hidden_or(self, key: str, parse: Callable[[str], T], default: str) -> T:
        """A text that may hold a secret: `parse` follows references itself, and says of it what may be told."""
        marked = self._required(key) if self._asks(key) else Marked(self._marked.line, self._way(key), default)
        text = self._plain_text(marked) if marked else None
        if marked is None or text is None:
            return cast(T, HOLE)
        try:
            return parse(text)
        except Wrong as wrong:
            self._wrong(marked, wrong.what, wrong.remedy)
            return cast(T, HOLE)

    def secret(self, key: str) -> Secret:
        found = self._required(key)
        return self._secret(found) if found else HOLE

    def secret_or_none(self, key: str) -> Secret | None:
        return self.secret(key) if self._asks(key) else None

    def path(self, key: str, limit: int, check: Callable[[bytes], object] = len) -> tuple[Path, bytes]:
        """A file named by its path, and what it holds: readable, at most `limit` bytes, and sound to `check`."""

        def read(text: str) -> tuple[Path, bytes]:
            path = self._references.path(text)
            content = self._references.read(path, limit)
            check(content)
            return path, content

        found = self._required(key)
        return self._parsed(found, read, follow=_as_written) if found else HOLE

    def path_or_none(
        self, key: str, limit: int, check: Callable[[bytes], object] = len
    ) -> tuple[Path, bytes] | tuple[None, None]:
        if not self._asks(key):
            return None, None
        return self.path(key, limit, check) or (None, None)

    def section(self, key: str) -> Section:
        found = self._required(key)
        if found is None:
            return Section(Marked(self._marked.line, self._way(key), None), self._problems, self._references)
        return self._section(found)

    def section_or_none(self, key: str) -> Section | None:
        return self.section(key) if self._asks(key) else None

    def sections(self, key: str, parse: Callable[[str], T]) -> list[tuple[T, Section]]:
        """A section of named sections, at least one. A bad name is noted and its section read all the same."""
        found = self._required(key)
        return self._named(found, parse) if found else []

    def sections_or_none(self, key: str, parse: Callable[[str], T]) -> list[tuple[T, Section]]:
        """As `sections`, where none at all is no problem."""
        is_empty = self._asks(key) and self._values[key].value == {}
        return self.sections(key, parse) if self.has(key) and not is_empty else []

    def items(self, key: str) -> list[Section]:
        """A list of sections, at least one."""
        found = self._required(key)
        if found is None:
            return []
        if not isinstance(found.value, list):
            self._wrong(found, f"must be a list of sections, {_kind(found.value)}", "begin each entry with `- `")
            return []
        if not found.value:
            self._wrong(found, "is empty", "add at least one entry")
        return [self._section(item) for item in found.value]

    def asks(self, key: str) -> bool:
        """Is it there? From here on it is known as a key of this section."""
        return self._asks(key)

    def texts_or(self, key: str, default: tuple[str, ...], parse: Callable[[str], str] = str) -> tuple[str, ...]:
        """A list of texts."""
        found = self._required(key) if self._asks(key) else None
        if found is None:
            return default
        if not isinstance(found.value, list):
            self._wrong(found, f"must be a list, {_kind(found.value)}", "write for example `[one, two]`")
            return default
        return tuple(self._parsed(item, parse) for item in found.value)

    def lists_or(self, key: str, default: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        """A list of lists of texts, as they are written."""
        found = self._required(key) if self._asks(key) else None
        if found is None:
            return default
        if not isinstance(found.value, list):
            self._wrong(found, f"must be a list of lists, {_kind(found.value)}", "write for example `[[one, two]]`")
            return default
        return tuple(self._texts(each) for each in found.value)

    def tree(self, parse: Callable[[str], str]) -> dict[str, Any]:
        """All keys: each a text, a list of texts (at least one), or a section of the same kind. Texts as tuples."""
        self._asked.extend(self._values)
        return {key: self._branch(marked, parse) for key, marked in self._values.items()}

    def flag_or(self, key: str, default: bool) -> bool:
        """Yes or no, as YAML writes it: `true` or `false`."""
        if not self._asks(key):
            return default
        marked = self._values[key]
        if not isinstance(marked.value, bool):
            self._wrong(marked, f"must be yes or no, {_kind(marked.value)}", "write `true` or `false`")
            return cast(bool, HOLE)
        return marked.value

    def word_or_entries(
        self, key: str, alone: Callable[[str], list[T]], word: Callable[[str], T], section: Callable[[Section], T]
    ) -> list[T]:
        """One word that stands for a list, or a list of words and sections; empty where the key is absent."""
        found = self._required(key) if self._asks(key) else None
        if found is None:
            return []
        if not isinstance(found.value, list):
            return self._parsed(found, alone) or []
        if not found.value:
            self._wrong(found, "is empty", "add at least one entry, or take the key out")
        return [
            section(self._section(item)) if isinstance(item.value, dict) else self._parsed(item, word)
            for item in found.value
        ]

    def pairs(self, name: Callable[[str], T], value: Callable[[str], D]) -> Iterator[tuple[str, T, D]]:
        """All keys of a section of texts: each as written, as `name` reads it, and its value as `value` reads it."""
        for written, marked in self._values.items():
            self._asked.append(written)
            yield written, self._named_as(written, marked, name), self._parsed(marked, value)

    def choices(
        self, name: Callable[[str], T], word: Callable[[str], D], section: Callable[[Section], D], empty: D
    ) -> Iterator[tuple[str, T, D]]:
        """All keys of a section whose values are words, sections of their own, or left empty."""
        for written, marked in self._values.items():
            self._asked.append(written)
            match marked.value:
                case None:
                    value = empty
                case dict():
                    value = section(self._section(marked))
                case _:
                    value = self._parsed(marked, word)
            yield written, self._named_as(written, marked, name), value

    def options(self, shape: type[T], taken: Iterable[str], shared: Mapping[str, Any] = MappingProxyType({})) -> T:
        """All keys but `taken` as the options of a plugin: the fields of the Struct `shape`.

        `shared` are sections of the whole file, which stand in for a field of that name and type that is not here.
        """
        self._asked.extend(taken)
        values: dict[str, Any] = {}
        sound = True
        for field in msgspec.structs.fields(cast(type[msgspec.Struct], shape)):
            if field.encode_name not in self._values and _stands_in(shared, field):
                self._asked.append(field.encode_name)
                values[field.name] = shared[field.encode_name]
            elif field.encode_name not in self._values and not field.required:
                self._asked.append(field.encode_name)
                continue
            else:
                values[field.name] = self._field(field)
            sound = sound and values[field.name] is not HOLE
        return self._made(shape, values) if sound else cast(T, HOLE)

    def close(self) -> None:
        """Note every key that nobody asked for, with the nearest that exists."""
        for key, marked in self._values.items():
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, n=1)
                known = ", ".join(f"`{name}`" for name in sorted(set(self._asked)))
                remedy = f"did you mean `{near[0]}`?" if near else f"known here: {known}"
                self._wrong(marked, "is not a known key", remedy)

    def _branch(self, marked: Marked, parse: Callable[[str], str]) -> Any:
        match marked.value:
            case dict() if marked.value:
                return self._section(marked).tree(parse)
            case list() if marked.value:
                return tuple(self._parsed(item, parse, follow=_as_written) for item in marked.value)
            case dict() | list():
                self._wrong(marked, "is empty", "give it a value or take the key out")
                return HOLE
            case _:
                return (self._parsed(marked, parse, follow=_as_written),)

    def _texts(self, marked: Marked) -> tuple[str, ...]:
        if not isinstance(marked.value, list):
            self._wrong(marked, f"must be a list, {_kind(marked.value)}", "write for example `[one, two]`")
            return cast(tuple[str, ...], HOLE)
        return tuple(self._parsed(item, str, follow=_as_written) for item in marked.value)

    def _asks(self, key: str) -> bool:
        self._asked.append(key)
        return key in self._values

    def _required(self, key: str) -> Marked | None:
        """The value of `key`; None, with a note, where it is missing or empty."""
        if not self._asks(key):
            if isinstance(self._marked.value, dict):
                self.note(key, "is missing", f"add `{key}:` here")
            return None
        found = self._values[key]
        if found.value is None:
            self._wrong(found, "is empty", "give it a value or take the key out")
            return None
        return found

    def _parsed(self, marked: Marked, parse: Callable[[str], T], follow: Callable[[str], str] | None = None) -> T:
        text = self._plain_text(marked)
        if text is None:
            return cast(T, HOLE)
        try:
            return parse((follow or self._references.resolve)(text))
        except Wrong as wrong:
            self._wrong(marked, f"`{_shortened(text)}` {wrong.what}", wrong.remedy)
            return cast(T, HOLE)

    def _secret(self, marked: Marked) -> Secret:
        text = self._plain_text(marked)
        if text is None:
            return cast(Secret, HOLE)
        try:
            return Secret(self._references.resolve(text))
        except Wrong as wrong:
            self._wrong(marked, wrong.what, wrong.remedy)
            return cast(Secret, HOLE)

    def _secrets(self, marked: Marked) -> tuple[Secret, ...]:
        if not isinstance(marked.value, list):
            self._wrong(marked, f"must be a list, {_kind(marked.value)}", "write for example `[env:ONE, env:OTHER]`")
            return cast(tuple[Secret, ...], HOLE)
        found = tuple(self._secret(item) for item in marked.value)
        return cast(tuple[Secret, ...], HOLE) if HOLE in found else found

    def _plain_text(self, marked: Marked) -> str | None:
        if isinstance(marked.value, str) and marked.value:
            return marked.value
        remedy = "put it in quotes" if isinstance(marked.value, bool | int | float) else "write one value"
        self._wrong(marked, f"must be text, {_kind(marked.value)}", remedy)
        return None

    def _section(self, marked: Marked) -> Section:
        if marked.value is None:
            self._wrong(marked, "is empty", "give it keys and values or take it out")
        return Section(marked, self._problems, self._references)

    def _named(self, marked: Marked, parse: Callable[[str], T]) -> list[tuple[T, Section]]:
        if not isinstance(marked.value, dict):
            self._wrong(marked, f"must be a section of named sections, {_kind(marked.value)}")
            return []
        if not marked.value:
            self._wrong(marked, "is empty", "add at least one entry")
        return [(self._named_as(key, inner, parse), self._section(inner)) for key, inner in marked.value.items()]

    def _named_as(self, written: str, marked: Marked, parse: Callable[[str], T]) -> T:
        try:
            return parse(written)
        except Wrong as wrong:
            self._wrong(marked, f"`{_shortened(written)}` {wrong.what}", wrong.remedy)
            return cast(T, HOLE)

    def _field(self, field: FieldInfo) -> Any:
        found = self._required(field.encode_name)
        if found is None:
            return HOLE
        inner = _struct_in(field.type)
        if inner is None:
            return self._option(found, field.type)
        section = self._section(found)
        made = section.options(inner, ())
        section.close()
        return made

    def _option(self, marked: Marked, shape: Any) -> Any:
        if get_origin(shape) is tuple and Secret in get_args(shape):
            return self._secrets(marked)
        if shape is Secret or Secret in get_args(shape):
            return self._secret(marked)
        if shape is Path or Path in get_args(shape):
            return self._parsed(marked, self._readable, follow=_as_written) or HOLE
        try:
            return msgspec.convert(self._followed(marked), shape)
        except Wrong as wrong:
            self._wrong(marked, wrong.what, wrong.remedy)
        except msgspec.ValidationError as error:
            told = str(error)
            inner = _AT.search(told)
            way = marked.key + (inner.group(1) if inner else "")
            self._problems.note(marked.line, way, _AT.sub("", told)[:1].lower() + _AT.sub("", told)[1:])
        return HOLE

    def _readable(self, text: str) -> Path:
        path = self._references.path(text)
        self._references.read(path, MAX_OPTION_FILE)
        return path

    def _followed(self, marked: Marked) -> Any:
        """The plain value behind the marks, references followed."""
        match marked.value:
            case str(text):
                return self._references.resolve(text)
            case dict(inner):
                return {key: self._followed(value) for key, value in inner.items()}
            case list(items):
                return [self._followed(item) for item in items]
            case plain:
                return plain

    def _made(self, shape: type[T], values: dict[str, Any]) -> T:
        try:
            return shape(**values)
        except ValueError as error:
            self._wrong(self._marked, str(error))
            return cast(T, HOLE)

    def _way(self, key: str) -> str:
        return f"{self._marked.key}.{key}" if self._marked.key else key

    def _wrong(self, marked: Marked, what: str, remedy: str = "") -> None:
        self._problems.note(marked.line, marked.key, what, remedy)


def _struct_in(shape: Any) -> type[msgspec.Struct] | None:
    """The Struct that a field holds, or may hold."""
    shapes = [each for each in (shape, *get_args(shape)) if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    return shapes[0] if shapes and get_origin(shape) in (None, UnionType, Union) else None


def _stands_in(shared: Mapping[str, Any], field: FieldInfo) -> bool:
    return field.encode_name in shared and _struct_in(field.type) is not None


def _as_written(text: str) -> str:
    return text


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _kind(value: object) -> str:
    match value:
        case None:
            return "not empty"
        case bool():
            return "not a yes or no"
        case int() | float():
            return "not a number"
        case "":
            return "not empty"
        case str():
            return "not text"
        case list():
            return "not a list"
        case _:
            return "not a section"

"""What may stand on a command's line, as the command's own signature says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, get_type_hints

from hoopx_broker.terms.errors import BadInput

if TYPE_CHECKING:
    from hoopx_cli.kit import Kit

_NUMBERS = {int: "a whole number", float: "a number"}


class Argument:
    """A word without a name. As an annotation: `Annotated[str, Argument(metavar="TARGET", help="…")]`."""

    names: tuple[str, ...] = ()

    def __init__(self, *, metavar: str, help: str = "") -> None:  # noqa: A002 - it is what `--help` prints
        self.metavar = metavar
        self.help = help
        self.least: float | None = None
        self.most: float | None = None
        self.check: Callable[[str], str] | None = None


class Option:
    """A named one. Without `names` it is called as the parameter is. `check` sees what was given, and may refuse it."""

    def __init__(
        self,
        *names: str,
        metavar: str = "",
        help: str = "",  # noqa: A002 - as above
        least: float | None = None,
        most: float | None = None,
        check: Callable[[str], str] | None = None,
    ) -> None:
        self.names = tuple(sorted(names, key=len))  # `-o, --output`
        self.metavar = metavar
        self.help = help
        self.least = least
        self.most = most
        self.check = check


class Place:
    """An argument (no `names`) or an option, and the parameter that gets its value.

    `take` is for options that many commands share: the kit gets their value instead of the command.
    """

    def __init__(
        self,
        name: str,
        said: Option | Argument,
        kind: type = str,
        default: Any = None,
        *,
        is_many: bool = False,
        take: Callable[[Kit, Any], None] | None = None,
    ) -> None:
        self.name = name
        self.is_option = isinstance(said, Option)
        self.names = said.names or ((f"--{name.strip('_').replace('_', '-')}",) if self.is_option else ())
        self.help = said.help
        self.kind, self.default, self.is_many, self.take = kind, default, is_many, take
        self.is_flag = kind is bool
        self.choices: Sequence[str] = [one.value for one in kind] if issubclass(kind, Enum) else ()
        self.metavar = said.metavar or (f"<{'|'.join(self.choices)}>" if self.choices else "")
        self._least, self._most, self._check = said.least, said.most, said.check

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED

    @property
    def range(self) -> str:
        """`1 to 1000`, or empty where every number will do."""
        if self._most is None:
            return f"{self._least} or more" if self._least is not None else ""
        return f"{self._least} to {self._most}" if self._least is not None else f"{self._most} or less"

    def value(self, text: str) -> Any:
        """What the command gets for a word. Raises `BadInput`."""
        if self._check is not None:
            text = self._check(text)
        if self.choices and text not in self.choices:
            raise BadInput(f"{self} takes {' or '.join(self.choices)}, not `{text}`")
        try:
            value = self.kind(text)
        except ValueError:
            raise BadInput(f"{self} takes {_NUMBERS[self.kind]}, not `{text}`") from None
        if self.kind in _NUMBERS and not self._is_in_range(value):
            raise BadInput(f"{self} takes a number, {self.range}, not `{text}`")
        return value

    def _is_in_range(self, value: float) -> bool:
        return (self._least is None or value >= self._least) and (self._most is None or value <= self._most)

    def __str__(self) -> str:
        """For messages."""
        return f"`{self.names[-1] if self.names else self.metavar}`"


REQUIRED = object()
HELP = Place("help_", Option("-h", "--help", help="Show this message and exit."), bool, default=False)


def places_of(work: Callable[..., object]) -> list[Place]:
    """Those of a function, behind its first parameter, which is the kit."""
    code, hints = work.__code__, get_type_hints(work, include_extras=True)
    names = code.co_varnames[1 : code.co_argcount]
    given = work.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True))
    return [_place(name, hints[name], defaults.get(name, REQUIRED)) for name in names]


def _place(name: str, hint: Any, default: Any) -> Place:
    kind, said = hint.__origin__, hint.__metadata__[0]
    if isinstance(kind, UnionType):
        kind = next(one for one in kind.__args__ if one is not type(None))
    is_many = getattr(kind, "__origin__", None) is list
    return Place(name, said, kind.__args__[0] if is_many else kind, default, is_many=is_many)

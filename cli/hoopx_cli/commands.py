"""The shape of the command line: which module holds which command, and what every command has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from hoopx_broker import __version__
from hoopx_broker.terms.errors import BadInput, ExitCode
from hoopx_cli import menu
from hoopx_cli.lazily import lazily
from hoopx_cli.nearest import nearest
from hoopx_cli.output import Form
from hoopx_cli.places import HELP, Option, Place, places_of
from hoopx_cli.words import demand, first_loose, read

if TYPE_CHECKING:
    from hoopx_cli.kit import Kit

W = TypeVar("W", bound=Callable[..., int | None])

# Run by the completion scripts, and no business of anybody who types.
HIDDEN = {"refresh-names": "hoopx_cli.refreshing"}


class Sort(NamedTuple):
    """What a command has beside what its signature says. The first of `forms` is meant where none is given."""

    has_broker: bool = True
    has_account: bool = True
    forms: Sequence[Form] = (Form.TABLE, Form.JSON)
    # Whether its line may hold another command behind `--`, which is taken as it is.
    has_child: bool = False

    def places(self) -> list[Place]:
        return [
            *(_broker_places() if self.has_broker else ()),
            *((_account_place(),) if self.has_account else ()),
            *_output_places(self.forms),
            HELP,
        ]


LOCAL = Sort(has_broker=False, has_account=False)
# About a broker, and as nobody yet.
ANONYMOUS = Sort(has_account=False)
# To a broker, as somebody.
BROKER = Sort()
# Whose data is for a configuration.
YAML = Sort(forms=(Form.YAML, Form.TABLE, Form.JSON))
# Whose data are rows.
ROWS = Sort(forms=(Form.TABLE, Form.JSON, Form.JSONL, Form.CSV))
WITH_CHILD = Sort(has_child=True)


class Command:
    """A function of the kit and of what stands on the line. Its docstring is its help, and starts with an example."""

    commands: dict[str, Node] = {}  # noqa: RUF012 - a command has none below it

    def __init__(self, work: Callable[..., int | None], sort: Sort) -> None:
        self.work, self.sort = work, sort
        self.help = work.__doc__ or ""

    @lazily
    def places(self) -> list[Place]:
        return [*places_of(self.work), *self.sort.places()]

    def run(self, path: str, words: Sequence[str], kit: Kit) -> int:
        """Its exit code. Raises `BadInput` for words that it does not take."""
        if self.sort.has_child and "--" in words:
            at = words.index("--")
            kit.child, words = tuple(words[at + 1 :]), words[:at]
        values = _read(path, words, self.places)
        if values.pop(HELP.name, False):
            kit.out.data(self.page(path))
            return 0
        for place in self.places:
            if place.take is not None:
                place.take(kit, values.pop(place.name, place.default))
        return self.work(kit, **values) or 0

    def page(self, path: str) -> str:
        from hoopx_cli.help import page

        return page(path, self.help, self.places, "[-- CMD...]" if self.sort.has_child else "")


class Group:
    """Commands below one name. `alone` is what that name does by itself, which then takes options before a command."""

    def __init__(self, help_: str) -> None:
        self.help = help_
        self.commands: dict[str, Node] = {}
        self.alone: Command | None = None

    def command(self, sort: Sort = BROKER, name: str = "") -> Callable[[W], W]:
        """Make a command of a function, by its own name where no other is given."""

        def add(work: W) -> W:
            self.commands[name or work.__name__] = Command(work, sort)
            return work

        return add

    def itself(self, sort: Sort) -> Callable[[W], W]:
        """Make a function what the group's name does where no command stands behind it."""

        def add(work: W) -> W:
            self.alone = Command(work, sort)
            return work

        return add

    def add(self, group: Group, name: str) -> None:
        self.commands[name] = group

    @property
    def places(self) -> list[Place]:
        return self.alone.places if self.alone is not None else [HELP]

    @property
    def names(self) -> Sequence[str]:
        return tuple(self.commands)

    def find(self, name: str) -> Node | None:
        return self.commands.get(name)

    def run(self, path: str, words: Sequence[str], kit: Kit) -> int:
        """The exit code of the command that is named. Raises `BadInput` where there is none of that name."""
        at = first_loose(words, self.places)
        before, rest = words[:at], words[at:]
        if rest and (self.alone is not None or not before):
            found = self.find(rest[0])
            if found is None:
                raise BadInput(unknown(rest[0], self.names), _see(path))
            return found.run(f"{path} {rest[0]}", [*before, *rest[1:]], kit)
        if not words and self.alone is None:
            kit.out.insist(self.page(path))
            return int(ExitCode.USAGE)
        given = _read(path, before, self.places)
        if self.alone is not None and not given.get(HELP.name):
            return self.alone.run(path, before, kit)
        kit.out.data(self.page(path))
        return 0

    def page(self, path: str) -> str:
        from hoopx_cli.help import page, summary

        below = [(name, summary(command.help)) for name, command in self.commands.items()]
        return page(path, self.help, self.places, "COMMAND [ARGS]...", below)


Node = Command | Group


class Root(Group):
    """All of it: a command's module is imported when that command runs."""

    def __init__(self) -> None:
        super().__init__(menu.EXAMPLE)

    @property
    def places(self) -> list[Place]:
        return [Place("version_", Option("--version"), bool), Place("debug_", Option("--debug"), bool), HELP]

    @property
    def names(self) -> Sequence[str]:
        return tuple(menu.COMMANDS)

    def run(self, path: str, words: Sequence[str], kit: Kit) -> int:
        """Its own options come first."""
        at = first_loose(words, self.places)
        options = _read(path, words[:at], self.places)
        kit.out.shows_traces = "debug_" in options
        if "version_" in options:
            kit.out.data(f"hoopx {__version__}")
            return 0
        return super().run(path, ["--help"] if HELP.name in options else words[at:], kit)

    def find(self, name: str) -> Node | None:
        module = menu.COMMANDS[name][0] if name in menu.COMMANDS else HIDDEN.get(name)
        if module is None:
            return None
        found: Node = import_module(module).app.commands[name]
        return found

    def page(self, path: str) -> str:
        """The one that `hoopx --help` prints without coming here."""
        return menu.page(menu.room()).rstrip("\n")


def run(words: Sequence[str], kit: Kit) -> int:
    """Run one command line and give its exit code."""
    return Root().run("hoopx", words, kit)


def group(help_: str) -> Group:
    """A group of commands. `help_` starts with an example line."""
    return Group(help_)


def unknown(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    meant = f"; did you mean `{near}`?" if near else ""
    return f"there is no command `{name}`{meant}"


def _read(path: str, words: Sequence[str], places: Sequence[Place]) -> dict[str, Any]:
    try:
        values = read(words, places)
        if not values.get(HELP.name):
            demand(values, places)
    except BadInput as error:
        raise error if error.hint else BadInput(error.message, _see(path)) from None
    return values


def _see(path: str) -> str:
    return f"see `{path} --help`"


def _output_places(forms: Sequence[Form]) -> list[Place]:
    return [
        _FormPlace(forms),
        Place("quiet_", Option("-q", "--quiet", help="Say less."), bool, default=False, take=_take_quiet),
        Place("verbose_", Option("-v", "--verbose", help="Say more."), bool, default=False, take=_take_verbose),
        Place("debug_", Option("--debug", help=menu.OPTIONS["--debug"]), bool, default=False, take=_take_debug),
    ]


class _FormPlace(Place):
    """`-o`: of all forms, those that the command writes."""

    def __init__(self, forms: Sequence[Form]) -> None:
        option = Option("-o", "--output", help="How data is printed.")
        super().__init__("form_", option, Form, forms[0], take=_take_form)
        self.choices = [form.value for form in forms]
        self.metavar = f"<{'|'.join(self.choices)}>"


def _broker_places() -> list[Place]:
    ca = Option("--ca", metavar="FILE|sha256:HEX", help="Whom to trust as the broker [HOOPX_CA].")
    return [
        Place(
            "broker_", Option("--broker", metavar="URL", help="The broker's address [HOOPX_BROKER]."), take=_take_broker
        ),
        Place("ca_", ca, take=_take_ca),
    ]


def _account_place() -> Place:
    text = "Whose login to use, of those in `hoopx accounts` [HOOPX_ACCOUNT]."
    return Place("account_", Option("--account", metavar="USER", help=text), take=_take_account)


def _take_form(kit: Kit, value: Form) -> None:
    kit.out.form = value


def _take_quiet(kit: Kit, value: bool) -> None:
    kit.out.is_quiet = value


def _take_verbose(kit: Kit, value: bool) -> None:
    kit.out.is_verbose = value


def _take_debug(kit: Kit, value: bool) -> None:
    kit.out.shows_traces |= value  # the root has the option too, for whoever puts it first


def _take_broker(kit: Kit, value: str | None) -> None:
    kit.flags.broker = value


def _take_ca(kit: Kit, value: str | None) -> None:
    kit.flags.ca = value


def _take_account(kit: Kit, value: str | None) -> None:
    kit.flags.account = value

"""The shape of the command line: which module holds which command, and what every command has in common."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer import _click
from typer._types import TyperChoice
from typer.core import TyperCommand, TyperGroup, TyperOption

from hoopx_cli.kit import kit_of
from hoopx_cli.menu import COMMANDS, page, room
from hoopx_cli.nearest import nearest
from hoopx_cli.output import Form

# Typer vendors click and exports only part of it; the version is pinned to <0.29 in pyproject.toml.
UsageError = _click.exceptions.UsageError


# Run by the completion scripts, and no business of anybody who types.
HIDDEN = {"refresh-names": "hoopx_cli.refreshing"}


class WithExample:
    """Help that starts with an example: the first line of the docstring."""

    help: str | None

    def format_help(self, context: _click.Context, formatter: _click.HelpFormatter) -> None:
        example, _, rest = (self.help or "").partition("\n")
        formatter.write(f"{example}\n\n")
        full, self.help = self.help, rest.strip()
        try:
            super().format_help(context, formatter)  # type: ignore[misc]
        finally:
            self.help = full


class HoopxCommand(WithExample, TyperCommand):
    """A command with `-o`, `-q` and `-v`."""

    def __init__(self, *args: Any, params: list[Any] | None = None, **attrs: Any) -> None:
        super().__init__(*args, params=[*(params or []), *self.shared()], **attrs)

    def shared(self) -> list[TyperOption]:
        return _output_options()

    def collect_usage_pieces(self, ctx: _click.Context) -> list[str]:
        """Arguments as manual pages write them: Typer puts braces around those that must be given."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class LoginCommand(HoopxCommand):
    """A command about a broker that acts as nobody yet: `--broker` and `--ca` too."""

    def shared(self) -> list[TyperOption]:
        return [*_broker_options(), *_output_options()]


class BrokerCommand(HoopxCommand):
    """A command that talks to a broker as somebody: `--account` too."""

    def shared(self) -> list[TyperOption]:
        return [*_broker_options(), _account_option(), *_output_options()]


class YamlCommand(BrokerCommand):
    """A command whose data is for a configuration: YAML unless something else is asked for."""

    def shared(self) -> list[TyperOption]:
        return [*_broker_options(), _account_option(), *_output_options(Form.YAML, Form.TABLE, Form.JSON)]


class SqlCommand(BrokerCommand):
    """A command whose data are rows."""

    def shared(self) -> list[TyperOption]:
        return [
            *_broker_options(),
            _account_option(),
            *_output_options(Form.TABLE, Form.JSON, Form.JSONL, Form.CSV),
        ]


class CommandWithChild(BrokerCommand):
    """A command whose line may hold another one behind `--`, which is taken as it is."""

    def parse_args(self, ctx: _click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            kit_of(ctx).child = tuple(args[at + 1 :])  # type: ignore[arg-type]
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: _click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- CMD...]"]


class HoopxGroup(WithExample, TyperGroup):
    """A group of commands that says which name was meant."""

    def resolve_command(
        self, ctx: _click.Context, args: list[str]
    ) -> tuple[str | None, _click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(unknown(args[0], self.list_commands(ctx)))
        return self._click_resolve_command(ctx, args)

    def format_commands(self, ctx: _click.Context, formatter: _click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(command)) for name, command in self.commands.items()])


class HoopxCommandGroup(HoopxGroup):
    """A group that does something by itself too, with `-o`, `-q` and `-v`."""

    def __init__(self, *args: Any, params: list[Any] | None = None, **attrs: Any) -> None:
        super().__init__(*args, params=[*(params or []), *_output_options()], **attrs)


class LazyGroup(HoopxGroup):
    """The root: a command's module is imported when that command runs."""

    def format_help(self, context: _click.Context, formatter: _click.HelpFormatter) -> None:
        """The page that `hoopx --help` prints without coming here."""
        formatter.write(page(room()))

    def list_commands(self, ctx: _click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        module = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if module is None:
            return None
        return typer.main.get_group(import_module(module).app).commands[cmd_name]


def group(help_: str, cls: type[TyperGroup] = HoopxGroup) -> typer.Typer:
    """An application or a group of commands in the house's manner. `help_` starts with an example line."""
    return typer.Typer(
        cls=cls,
        help=help_,
        no_args_is_help=True,
        add_completion=False,
        # Rich costs 230 ms of start-up as soon as one group has it on.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def unknown(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    meant = f"; did you mean `{near}`?" if near else ""
    return f"there is no command `{name}`{meant}"


def _summary(command: _click.Command) -> str:
    """The first sentence behind the example line."""
    _, _, text = (command.help or "").partition("\n")
    sentence, _, _ = " ".join(text.split()).partition(". ")
    return sentence.rstrip(".") + "."


def _output_options(*forms: Form) -> list[TyperOption]:
    """The first form is the one that is meant where none is given."""
    known = forms or (Form.TABLE, Form.JSON)
    return [
        TyperOption(
            param_decls=["-o", "--output"],
            type=TyperChoice([form.value for form in known]),
            default=known[0].value,
            expose_value=False,
            callback=_take_form,
            help="How data is printed.",
            show_default=True,
        ),
        TyperOption(
            param_decls=["-q", "--quiet"], is_flag=True, expose_value=False, callback=_take_quiet, help="Say less."
        ),
        TyperOption(
            param_decls=["-v", "--verbose"], is_flag=True, expose_value=False, callback=_take_verbose, help="Say more."
        ),
        TyperOption(
            param_decls=["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_take_debug,
            help="Show the trace of an error, without secrets.",
        ),
    ]


def _broker_options() -> list[TyperOption]:
    return [
        TyperOption(
            param_decls=["--broker"],
            metavar="URL",
            expose_value=False,
            callback=_take_broker,
            help="The broker's address [HOOPX_BROKER].",
        ),
        TyperOption(
            param_decls=["--ca"],
            metavar="FILE|sha256:HEX",
            expose_value=False,
            callback=_take_ca,
            help="Whom to trust as the broker [HOOPX_CA].",
        ),
    ]


def _account_option() -> TyperOption:
    return TyperOption(
        param_decls=["--account"],
        metavar="USER",
        expose_value=False,
        callback=_take_account,
        help="Whose login to use, of those in `hoopx accounts` [HOOPX_ACCOUNT].",
    )


def _take_form(ctx: typer.Context, param: Any, value: str) -> None:
    kit_of(ctx).out.form = Form(value)


def _take_quiet(ctx: typer.Context, param: Any, value: bool) -> None:
    kit_of(ctx).out.is_quiet = value


def _take_verbose(ctx: typer.Context, param: Any, value: bool) -> None:
    kit_of(ctx).out.is_verbose = value


def _take_debug(ctx: typer.Context, param: Any, value: bool) -> None:
    # The root has the option too, for whoever puts it first.
    if value:
        kit_of(ctx).out.shows_traces = True


def _take_broker(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.broker = value


def _take_ca(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.ca = value


def _take_account(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.account = value

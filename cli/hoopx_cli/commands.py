"""The shape of the command line: which module holds which command, and what every command has in common."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer import _click
from typer._types import TyperChoice
from typer.core import TyperCommand, TyperGroup, TyperOption

from hoopx_cli.kit import kit_of
from hoopx_cli.output import Form

# Typer vendors click and exports only part of it; the version is pinned to <0.29 in pyproject.toml.
UsageError = _click.exceptions.UsageError

# Name of the command -> the module that holds it, and its line in `hoopx --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("hoopx_cli.demo", "See it all at work on this machine."),
    "login": ("hoopx_cli.login", "Sign in by your identity provider."),
    "logout": ("hoopx_cli.login", "Sign out and forget the tokens."),
    "whoami": ("hoopx_cli.login", "Show as whom the broker knows you."),
    "accounts": ("hoopx_cli.accounts", "List who is logged in where, and switch."),
    "token": ("hoopx_cli.login", "Print a password for native clients of one target."),
    "ls": ("hoopx_cli.targets", "List the targets that you may see."),
    "show": ("hoopx_cli.targets", "Show one target and what is allowed there."),
    "connect": ("hoopx_cli.connect", "Open a session and a local socket for any client."),
    "status": ("hoopx_cli.background", "Show the sessions that are open in the background."),
    "disconnect": ("hoopx_cli.background", "End sessions in the background."),
    "config": ("hoopx_cli.config", "Save connections in files of psql's, and take them out again."),
    "exec": ("hoopx_cli.exec", "Run a command with sessions to one or more targets."),
    "credentials": ("hoopx_cli.credentials", "Print the keys of an open AWS session, for AWS's own tools."),
    "agent": ("hoopx_cli.agent", "Run a command as an agent on your behalf."),
    "classify": ("hoopx_cli.classify", "Propose which columns of a target hold personal data."),
    "request": ("hoopx_cli.requests", "Ask for approval of a session."),
    "requests": ("hoopx_cli.requests", "List, show, await, cancel and review requests."),
    "approve": ("hoopx_cli.approvals", "Agree to a request, or watch what waits for you."),
    "deny": ("hoopx_cli.approvals", "Refuse a request."),
    "sessions": ("hoopx_cli.sessions", "Search, replay, prove and end sessions."),
    "leases": ("hoopx_cli.leases", "List leases, and revoke them in an emergency."),
    "audit": ("hoopx_cli.audit", "Read what happened, prove it, and keep it."),
    "policy": ("hoopx_cli.policy", "Check, test and explain policies."),
    "admin": ("hoopx_cli.admin", "Shut users out, and let them in again."),
    "broker": ("hoopx_cli.broker", "Run the service."),
    "doctor": ("hoopx_cli.doctor.command", "Look at what commands need, and how to mend it."),
    "completion": ("hoopx_cli.completion", "Print the completion script of a shell."),
}


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

    def list_commands(self, ctx: _click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        module = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else HIDDEN.get(cmd_name)
        if module is None:
            return None
        return typer.main.get_group(import_module(module).app).commands[cmd_name]

    def format_commands(self, ctx: _click.Context, formatter: _click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


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
    near = get_close_matches(name, known, n=1)
    meant = f"; did you mean `{near[0]}`?" if near else ""
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


def _take_broker(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.broker = value


def _take_ca(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.ca = value


def _take_account(ctx: typer.Context, param: Any, value: str | None) -> None:
    kit_of(ctx).flags.account = value

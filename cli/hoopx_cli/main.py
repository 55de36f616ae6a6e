"""The command `hoopx`: run one command, and leave with a line and a code that say what happened."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from hoopx_cli.output import Output


# What wins over a login, so that a login is no help to whoever has it.
_INSTEAD_OF_LOGIN = {
    "HOOPX_TOKEN": "HOOPX_TOKEN is set and wins over a login: get a new token, or unset it. The broker's log says why",
    "HOOPX_CLIENT_ID": "HOOPX_CLIENT_ID is set and wins over a login: unset it to use one. The broker's log says why",
}


def main() -> None:
    """The entry point."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        # The fast path: scripts ask for the version often, and Typer alone takes 100 ms to import.
        from hoopx_broker import __version__

        sys.stdout.write(f"hoopx {__version__}\n")
        return
    import os

    sys.exit(run(arguments, os.environ))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code; every error becomes one line and a hint on stderr."""
    from hoopx_cli import output

    out = output.of_process(environ)
    return sheltered(lambda: _invoke(arguments, environ, out), out, environ)


def sheltered(work: Callable[[], int], out: Output, environ: Mapping[str, str]) -> int:
    """The exit code of `work`, whatever happens in it."""
    import signal

    signal.signal(signal.SIGTERM, _terminate)
    try:
        return work()
    except KeyboardInterrupt:
        out.status("")
        return 130
    except _Terminated:
        out.status("")
        return 143
    except BrokenPipeError:
        return _quiet_pipe()
    except Exception as error:
        return _told(error, environ, out)


class _Terminated(BaseException):
    """SIGTERM arrived: everything on the way out cleans up as after Ctrl-C."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def _invoke(arguments: Sequence[str], environ: Mapping[str, str], out: Output) -> int:
    from typer.main import get_command

    from hoopx_cli.app import app
    from hoopx_cli.kit import Kit

    command = get_command(app)
    returned = command.main(list(arguments), "hoopx", standalone_mode=False, obj=Kit(environ, out))
    sys.stdout.flush()
    return returned if isinstance(returned, int) else 0


def _told(error: Exception, environ: Mapping[str, str], out: Output) -> int:
    import errno

    from hoopx_broker.terms.errors import ExitCode, HoopxError
    from hoopx_cli.commands import UsageError

    match error:
        case HoopxError():
            out.error(error.message, _hint(error.hint, environ))
            return int(error.exit_code)
        case OSError(errno=errno.EIO):
            return _unheard()
        case UsageError():
            context = error.ctx
            hint = f"see `{context.command_path} --help`" if context is not None else ""
            if type(error).__name__ == "NoArgsIsHelpError":
                out.insist(error.format_message())
            else:
                out.error(error.format_message().rstrip("."), hint)
            return int(ExitCode.USAGE)
        case _:
            from hoopx_cli.trace import keep

            out.error(f"unexpected: {type(error).__name__}", f"this is a bug in hoopx; its trace is in {keep(environ)}")
            return int(ExitCode.UNEXPECTED)


def _hint(hint: str, environ: Mapping[str, str]) -> str:
    if "`hoopx login`" not in hint:
        return hint
    return next((told for name, told in _INSTEAD_OF_LOGIN.items() if environ.get(name)), hint)


def _unheard() -> int:
    """The terminal is gone, and nobody sent HUP: leave as if somebody had."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return 129


def _quiet_pipe() -> int:
    """The reader went away (`hoopx ls | head -1`): nothing is left to say, not even at the interpreter's end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0

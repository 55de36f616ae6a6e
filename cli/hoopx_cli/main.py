"""The command `hoopx`: run one command, and leave with a line and a code that say what happened."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `typing`, whose import alone takes as long as Python's start
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from hoopx_broker.terms.errors import HoopxError
    from hoopx_cli.output import Output


# What wins over a login, so that a login is no help to whoever has it.
_INSTEAD_OF_LOGIN = {
    "HOOPX_TOKEN": "HOOPX_TOKEN is set and wins over a login: get a new token, or unset it. The broker's log says why",
    "HOOPX_CLIENT_ID": "HOOPX_CLIENT_ID is set and wins over a login: unset it to use one. The broker's log says why",
}


# What is asked for often, by people and scripts, and needs nothing.
_AT_ONCE = ["--version"], ["--help"], ["-h"]


def main() -> None:
    """The entry point."""
    _stand_on_three_streams()
    arguments = sys.argv[1:]
    if arguments in _AT_ONCE:
        sys.exit(_at_once(*arguments))
    import os

    sys.exit(run(arguments, os.environ))


def _stand_on_three_streams() -> None:
    """Where one was closed (`>&-`) there is nothing to write to; else the first socket would get its number."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        import os

        while (opened := os.open(os.devnull, os.O_RDWR)) < 3:
            os.set_inheritable(opened, True)  # noqa: FBT003 - as os has it
        os.close(opened)
        sys.stdin, sys.stdout, sys.stderr = (
            stream or os.fdopen(number, "w" if number else "r", closefd=False)
            for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr))
        )


def _at_once(option: str) -> int:
    from hoopx_broker import __version__
    from hoopx_cli import menu

    try:
        sys.stdout.write(f"hoopx {__version__}\n" if option == "--version" else menu.page(menu.room()))
        sys.stdout.flush()
    except BrokenPipeError:
        return _quiet_pipe()
    except OSError as error:
        _let_go()
        sys.stderr.write(f"hoopx: standard output cannot be written: {(error.strerror or '').lower()}\n")
        return 2
    return 0


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code; every error becomes one line and a hint on stderr."""
    _load_lightly()
    from hoopx_cli import output

    out = output.of_process(environ)
    return sheltered(lambda: _invoke(arguments, environ, out), out, environ)


def _load_lightly() -> None:
    """Imports make objects that stay, so looking for garbage among them is in vain.

    msgspec takes from typing_extensions, where that is installed, what `typing` has as well. That loads `inspect`, a
    tokenizer and a disassembler: a quarter of what `hoopx ls` would load.
    """
    import gc

    gc.set_threshold(20_000, 20, 20)
    if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        try:
            import msgspec  # noqa: F401
        finally:
            del sys.modules["typing_extensions"]


def sheltered(work: Callable[[], int], out: Output, environ: Mapping[str, str]) -> int:
    """The exit code of `work`, whatever happens in it."""
    import signal

    signal.signal(signal.SIGTERM, _terminate)
    try:
        return _outcome(work, out, environ)
    finally:
        _let_go()


def _outcome(work: Callable[[], int], out: Output, environ: Mapping[str, str]) -> int:
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
    from hoopx_cli import commands
    from hoopx_cli.kit import Kit

    code = commands.run(arguments, Kit(environ, out))
    sys.stdout.flush()
    return code


def _told(error: Exception, environ: Mapping[str, str], out: Output) -> int:
    code = _said(error, environ, out)
    if out.shows_traces:
        from hoopx_cli import trace

        out.insist(trace.shown(error, environ))
    return code


def _said(error: Exception, environ: Mapping[str, str], out: Output) -> int:
    import errno

    from hoopx_broker.terms.errors import ExitCode, HoopxError
    from hoopx_cli.scrub import certain

    match error:
        case HoopxError():
            if error.exit_code is ExitCode.UNEXPECTED and not error.hint:
                error.hint = "this is unexpected; the broker's log says more"
            out.error(certain(error.message), certain(_hint(error, environ)))
            return int(error.exit_code)
        case OSError(errno=errno.EIO):
            return _unheard()
        case UnicodeEncodeError() if any("\udc80" <= char <= "\udcff" for char in str(error.object)):
            # What came in as bytes that are no text, and stands where a broker is told of it.
            out.error("what stands on the command line, or in a variable, is not UTF-8", "write it as UTF-8")
            return int(ExitCode.USAGE)
        case EOFError():
            out.error("standard input ended before the answer came", "run it in a terminal, or give it as an option")
            return int(ExitCode.USAGE)
        case _:
            from hoopx_cli.trace import keep

            out.error(f"unexpected: {type(error).__name__}", f"this is a bug in hoopx; its trace is in {keep(environ)}")
            return int(ExitCode.UNEXPECTED)


def _hint(error: HoopxError, environ: Mapping[str, str]) -> str:
    """What to do next, here: a login that would not count is no help, and a name seen before may be what was meant."""
    from hoopx_cli import nearest
    from hoopx_cli.settings import home

    if "`hoopx login`" in error.hint:
        return next((told for name, told in _INSTEAD_OF_LOGIN.items() if environ.get(name)), error.hint)
    if "did you mean" not in error.hint and (near := nearest.meant(error.message, home(environ))):
        return f"did you mean `{near}`? {error.hint}"
    return error.hint


def _unheard() -> int:
    """The terminal is gone, and nobody sent HUP: leave as if somebody had."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return 129


def _quiet_pipe() -> int:
    """The reader went away (`hoopx ls | head -1`): nothing is left to say."""
    _let_go()
    return 0


def _let_go() -> None:
    """What standard output could not take is not tried again at the interpreter's end, which would complain."""
    import os

    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

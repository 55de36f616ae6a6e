"""Start the process that holds sessions open behind the terminal, and wait until they are."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import msgspec

from hoopx_broker.api.messages import Open
from hoopx_cli.background_host import READY, Work
from hoopx_cli.doors import Door
from hoopx_cli.kit import Kit
from hoopx_cli.print_forms import Print

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def begin(kit: Kit, orders: Sequence[Open], door: Door, what: Print) -> int:
    """Its errors are said by itself, and its exit code is ours where it does not get so far as to stay."""
    # `-P`: a module of ours is not looked for in the folder where somebody happens to be.
    # The folder itself stays: tokens and certificates of the environment may be files in it.
    command = [sys.executable, "-P", "-m", "hoopx_cli.background_host", *(order.target for order in orders)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(kit.environ), start_new_session=True
    )
    with _passed_on(process) as received:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(_work(kit, orders, door, what)))
            process.stdin.close()
        data = process.stdout.read()
        process.stdout.close()
        if not data.endswith(READY):
            code = process.wait()
            return 128 + received[0] if received else code or 1
    process.returncode = 0  # it stays, and is nobody's child any more
    kit.out.raw(data.removesuffix(READY))
    kit.out.say("in the background: `hoopx status` shows it, `hoopx disconnect` ends it")
    return 0


def _work(kit: Kit, orders: Sequence[Open], door: Door, what: Print) -> Work:
    out, settings = kit.out, kit.settings
    return Work(
        orders=list(orders),
        broker=settings.broker,
        port=door.port,
        file=str(door.file.expanduser().absolute()) if door.file is not None else None,
        ca=kit.flags.ca,
        account=kit.flags.account,
        form=out.form.value,
        what=what.value,
        is_quiet=bool(out.is_quiet),
        is_verbose=bool(out.is_verbose),
    )


@contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Until it stays by itself, it is ended by what ends us: it has no terminal of its own."""
    received: list[int] = []

    def take(number: int, _: FrameType | None) -> None:
        received.append(number)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)

    before = {each: signal.getsignal(each) for each in _PASSED_ON}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, take)
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

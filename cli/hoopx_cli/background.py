"""`hoopx status` and `hoopx disconnect`: the sessions that are open in the background."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import backgrounds
from hoopx_cli.backgrounds import Report
from hoopx_cli.commands import group
from hoopx_cli.durations import spoken
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.places import Argument, Option
from hoopx_cli.print_forms import Print

app = group("Example: hoopx status")

_COLUMNS = ("target", "session", "state", "address", "used", "left")


@app.command()
def status(
    kit: Kit,
    targets: Annotated[
        list[str] | None, Argument(metavar="[TARGET...]", help="Targets of this broker; else all of all brokers.")
    ] = None,
    print_: Annotated[
        Print | None, Option("--print", help="Print the ways in of one, as `hoopx connect` does.")
    ] = None,
) -> None:
    """Example: hoopx status

    Show the sessions that `hoopx connect --background` holds open: where they listen, how much they have done, and how
    long they last. Passwords are shown with --print only: eval "$(hoopx status prod-db --print env)"
    """
    home, broker = kit.settings.home, kit.settings.broker
    _sweep(home)
    if print_ is not None:
        _print(kit, targets or [], print_)
        return
    reports = [backgrounds.one_of(home, broker, each) for each in targets or []] or backgrounds.all_of(home)
    if kit.out.form is Form.JSON:
        kit.out.json([_public(report) for report in reports])
        return
    if not reports:
        kit.out.say("no session is open in the background")
        return
    kit.out.table(_COLUMNS, [_row(report, time.time()) for report in reports], spare=("session", "used"))


@app.command()
def disconnect(
    kit: Kit,
    targets: Annotated[list[str] | None, Argument(metavar="[TARGET...]", help="Targets of this broker.")] = None,
    all_: Annotated[bool, Option("--all", help="Every session in the background, of every broker.")] = False,
) -> None:
    """Example: hoopx disconnect prod-db

    End sessions that are open in the background: their connections, their credentials and their recordings.
    """
    if bool(targets) == all_:
        raise BadInput("it is not clear which sessions are to end", "name their targets, or say --all")
    home, broker = kit.settings.home, kit.settings.broker
    _sweep(home)
    found = backgrounds.all_of(home) if all_ else [backgrounds.one_of(home, broker, each) for each in targets or []]
    ended = [backgrounds.end(home, report) for report in found]
    if kit.out.form is Form.JSON:
        kit.out.json([{"target": each.target, "session": each.session, "confirmed": each.is_sure} for each in ended])
    for each in ended:
        kit.out.say(f"the session with `{each.target}` is over")
        if not each.is_sure:
            kit.out.insist(f"the broker has not confirmed the end with `{each.target}`; it ends the session by itself")
    if not found:
        kit.out.say("no session is open in the background")


def _sweep(home: Path) -> None:
    from hoopx_cli import pg_service

    pg_service.sweep(home)


def _print(kit: Kit, targets: list[str], what: Print) -> None:
    """Of one: several have no default, and would not know whose each line is."""
    if len(targets) != 1:
        raise BadInput("--print is for one target", "name one")
    report = backgrounds.one_of(kit.settings.home, kit.settings.broker, targets[0])
    if not report.forms:
        raise BadInput(f"the session with `{report.target}` is not open yet", "wait until it is approved")
    if what.value not in report.forms:
        raise BadInput(f"`{report.target}` has no {what.value} as it is open", "choose another form with --print")
    for line in report.forms[what.value]:
        kit.out.data(line)


def _public(report: Report) -> dict[str, object]:
    """The stable JSON form, without passwords."""
    document: dict[str, object] = msgspec.to_builtins(report)
    document.pop("forms")
    return document


def _row(report: Report, now: float) -> tuple[str, ...]:
    counted = ((report.statements, "statements"), (report.denied, "denied"), (report.masked, "masked"))
    used = [f"{number} {name}" for number, name in (*counted, (report.waiting, "waiting")) if number]
    left = spoken(report.expires_at - now) if report.expires_at else ""
    return report.target, report.session, report.state, report.address, ", ".join(used), left

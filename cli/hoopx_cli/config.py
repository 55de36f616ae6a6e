"""`hoopx config`: saved connections in files of other programs, written when asked for, and taken out again."""

from __future__ import annotations

import sys
from typing import Annotated

from hoopx_broker.terms.errors import BadInput
from hoopx_cli import pg_service
from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.marked_block import Change
from hoopx_cli.output import Form
from hoopx_cli.places import Argument, Option

app = group("Example: hoopx config psql prod-db")
config = group(
    "Example: hoopx config psql prod-db\n\nSave connections in files of other programs, and take them out again."
)
app.add(config, "config")

Yes = Annotated[bool, Option("--yes", help="Write without asking.")]
Undo = Annotated[bool, Option("--undo", help="Take out what was written, and nothing else.")]


@config.command()
def psql(
    kit: Kit,
    targets: Annotated[
        list[str] | None, Argument(metavar="[TARGET...]", help="Targets; else all databases that you may see.")
    ] = None,
    yes: Yes = False,
    undo: Undo = False,
) -> None:
    """Example: hoopx config psql prod-db

    Let `psql service=prod-db`, and whatever else is built on libpq, find the session that `hoopx connect prod-db` holds
    open. Shows what it writes to ~/.pg_service.conf [PGSERVICEFILE] and asks first; no password stands in it. While a
    session is open, its password is in a private file that goes with it.
    """
    path = pg_service.place_of(kit.environ)
    if undo:
        if targets:
            raise BadInput("--undo takes out all of it", "leave out the targets")
        change = pg_service.undoing(path)
        if _is_agreed(kit, change, is_sure=yes, doing="taken out of"):
            pg_service.undo(kit.settings.home, change)
        return
    services = _services(kit, targets or [])
    change = pg_service.planned(kit.settings, path, services)
    if _is_agreed(kit, change, is_sure=yes, doing="written to"):
        pg_service.write(kit.settings, change, services)
        kit.out.say(f"while `hoopx connect {services[0].target}` is open: psql service={services[0].target}")


@config.command()
def ssh(kit: Kit, undo: Undo = False) -> None:
    """Example: hoopx config ssh

    For targets of SSH, which this hoopx does not reach yet: says so, and writes nothing.
    """
    raise _unknown("ssh")


@config.command()
def kube(kit: Kit, undo: Undo = False) -> None:
    """Example: hoopx config kube

    For clusters of Kubernetes, which this hoopx does not reach yet: says so, and writes nothing.
    """
    raise _unknown("kubernetes")


def _unknown(kind: str) -> BadInput:
    return BadInput(
        f"this hoopx reaches no targets of kind `{kind}`: nothing was written", "`hoopx config psql` is for databases"
    )


def _services(kit: Kit, targets: list[str]) -> list[pg_service.Service]:
    """Raises `BadInput` for what is no database."""
    found = [kit.api.target(each) for each in targets] if targets else kit.api.targets()
    known = [each for each in found if each.kind == "postgres" and (targets or each.access != "denied")]
    if others := [each.name for each in found if targets and each.kind != "postgres"]:
        raise BadInput(f"`{others[0]}` is no PostgreSQL database", "`hoopx ls` tells the kinds of targets")
    if not known:
        raise BadInput("there is no PostgreSQL database that you may see", "`hoopx ls` lists your targets")
    return [pg_service.Service(each.name, each.database) for each in known]


def _is_agreed(kit: Kit, change: Change, *, is_sure: bool, doing: str) -> bool:
    """Shown, then asked for. Raises `BadInput` where nobody agrees."""
    out = kit.out
    if out.form is Form.TABLE:
        for line in _shown(change):
            out.data(line)
    if not change.is_needed:
        out.say(f"`{change.path}` is as it should be")
    elif not is_sure:
        if not sys.stdin.isatty():
            raise BadInput(f"nothing was {doing} `{change.path}`", "say --yes if that is meant")
        out.ask(f"is this to be {doing} {change.path}? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise BadInput(f"nothing was {doing} `{change.path}`", "say --yes to be asked no more")
    if out.form is Form.JSON:
        out.json({"file": str(change.path), "changed": change.is_needed, "lines": _shown(change)})
    if change.is_needed:
        out.say(f"{doing} {change.path}")
    return True


def _shown(change: Change) -> list[str]:
    """The lines that come or go."""
    import difflib

    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    return [line for line in difflib.ndiff(before, after) if line[:2] in ("+ ", "- ")]

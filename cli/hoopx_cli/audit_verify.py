"""`hoopx audit verify` and `checkpoint`: prove all evidence of a broker, or of a copy of its store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.audit import audit
from hoopx_cli.broker import Config, _path, demanding_extra
from hoopx_cli.commands import HoopxCommand
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form, moment

Directory = Annotated[Path | None, typer.Argument(help="A copy of the store; else the one of the configuration.")]
Keys = Annotated[list[str], typer.Option("--key", metavar="KEY", help="The evidence key; several may be given.")]
Witnesses = Annotated[
    list[str], typer.Option("--witness", metavar="VKEY", help="A witness that must have cosigned; may be repeated.")
]
Since = Annotated[Path | None, typer.Option("--since", metavar="FILE", help="A checkpoint that was kept elsewhere.")]
Cosigned = Annotated[bool, typer.Option("--cosigned", help="The newest of those with the most cosignatures.")]
Quick = Annotated[bool, typer.Option("--quick", help="Of sealed recordings, look at the size only.")]


@audit.command(cls=HoopxCommand)
def verify(
    context: typer.Context,
    directory: Directory = None,
    key: Keys = [],  # noqa: B006
    witness: Witnesses = [],  # noqa: B006
    since: Since = None,
    quick: Quick = False,
    config: Config = "",
) -> None:
    """Example: hoopx audit verify --config hoopx.yaml --since checkpoint.kept

    Check the whole log, every recording against it, and the state against both. Of each kind of fault the first is
    named. With a directory and keys, a copy of a store is checked, and nothing else is needed. Each witness must have
    cosigned this very log, and not have stopped more than an hour before its last event.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon.examining import Wish, examine, examine_copy
    wish = Wish(tuple(key), tuple(witness), _text(since) if since is not None else None, quick)
    if directory is not None:
        if not key:
            raise BadInput("a copy proves nothing without a key", "`hoopx broker keys` prints it: --key KEY")
        audited = examine_copy(directory, wish, kit.out.detail)
    else:
        audited = asyncio.run(examine(_path(kit, config), kit.environ, wish, kit.out.detail))
    if kit.out.form is Form.JSON:
        kit.out.json(audited)
    elif audited.findings:
        rows = [(each.kind, each.what, str(each.more) if each.more else "") for each in audited.findings]
        kit.out.table(("FAULT", "FIRST", "MORE"), rows)
    else:
        kit.out.say(f"{audited.leaves} leaves of {audited.origin} and {audited.recordings} recordings: all in order")
        for one in audited.cosigned:
            kit.out.say(f"cosigned by {one.witness} at {moment(one.at)}, over {one.size} leaves")
    if audited.findings:
        raise BadInput(
            f"{len(audited.findings)} kinds of fault in the evidence", "keep it as it is, and look who was there"
        )


@audit.command(cls=HoopxCommand)
def checkpoint(context: typer.Context, cosigned: Cosigned = False, config: Config = "") -> None:
    """Example: hoopx audit checkpoint --config hoopx.yaml > checkpoint.kept

    Print the newest checkpoint of the log, with the cosignatures of witnesses that it has by now. Kept where the
    broker's operators cannot reach, it shows a cut or rewritten log: `hoopx audit verify --since FILE`.
    """
    kit: Kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.daemon.examining import newest
    note = newest(_path(kit, config), kit.environ, cosigned_by_most=cosigned)
    if kit.out.form is Form.JSON:
        kit.out.json({"checkpoint": note})
    else:
        kit.out.text(note.removesuffix("\n"))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"`{path}` cannot be read", "name a file that `hoopx audit checkpoint` wrote") from error

"""`hoopx audit verify` and `checkpoint`: prove all evidence of a broker, or of a copy of its store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.audit import audit
from hoopx_cli.broker import Config, _path, demanding_extra
from hoopx_cli.commands import LOCAL
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option

if TYPE_CHECKING:  # with the state, it needs more than a laptop has
    from hoopx_broker.evidence.auditing import Audited
    from hoopx_broker.evidence.findings import Finding

Directory = Annotated[
    Path | None, Argument(metavar="[DIRECTORY]", help="A copy of the store; else the one of the configuration.")
]
Keys = Annotated[list[str], Option("--key", metavar="KEY", help="The evidence key; several may be given.")]
Witnesses = Annotated[
    list[str], Option("--witness", metavar="VKEY", help="A witness that must have cosigned; may be repeated.")
]
Since = Annotated[Path | None, Option("--since", metavar="FILE", help="A checkpoint that was kept elsewhere.")]
Cosigned = Annotated[bool, Option("--cosigned", help="The newest of those with the most cosignatures.")]
Quick = Annotated[bool, Option("--quick", help="Of sealed recordings, look at size, head and seal only.")]


@audit.command(LOCAL)
def verify(
    kit: Kit,
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
    cosigned this very log, and not have stopped more than an hour before its last event. With --quick, nothing is read
    of sealed recordings but what they begin and end with.
    """
    with demanding_extra():
        from hoopx_broker.daemon.examining import Wish, examine, examine_copy
    wish = Wish(tuple(key), tuple(witness), _text(since) if since is not None else None, quick)
    if directory is not None:
        if not key:
            raise BadInput("a copy proves nothing without a key", "`hoopx broker keys` prints it: --key KEY")
        audited = examine_copy(directory, wish, _Progress(kit).tell)
    else:
        audited = asyncio.run(examine(_path(kit, config), kit.environ, wish, _Progress(kit).tell))
    kit.out.status("")
    if kit.out.form is Form.JSON:
        kit.out.json(audited)
    elif audited.findings:
        kit.out.table(("FAULT", "FIRST", "MORE"), [(each.kind, each.what, _more(each)) for each in audited.findings])
    if kit.out.form is Form.TABLE:
        for line in told(audited):
            kit.out.say(line)
    if audited.findings:
        raise BadInput(
            f"{len(audited.findings)} kinds of fault in the evidence", "keep it as it is, and look who was there"
        )


@audit.command(LOCAL)
def checkpoint(kit: Kit, cosigned: Cosigned = False, config: Config = "") -> None:
    """Example: hoopx audit checkpoint --config hoopx.yaml > checkpoint.kept

    Print the newest checkpoint of the log, with the cosignatures of witnesses that it has by now. Kept where the
    broker's operators cannot reach, it shows a cut or rewritten log: `hoopx audit verify --since FILE`.
    """
    with demanding_extra():
        from hoopx_broker.daemon.examining import newest
    note = newest(_path(kit, config), kit.environ, cosigned_by_most=cosigned)
    if kit.out.form is Form.JSON:
        kit.out.json({"checkpoint": note})
    else:
        kit.out.text(note.removesuffix("\n"))


class _Progress:
    """How far it is, on a terminal where people read; at most ten times a second."""

    def __init__(self, kit: Kit) -> None:
        self._out = kit.out
        self._next = 0.0

    def tell(self, text: str) -> None:
        if (now := time.monotonic()) >= self._next:
            self._next = now + 0.1
            self._out.status(text)


def told(audited: Audited) -> Iterator[str]:
    """What was looked at, and what is known of it; that all is in order only where it is."""
    end = "" if audited.findings else ": all in order"
    yield f"{audited.leaves} leaves of {audited.origin} and {audited.recordings} recordings{end}"
    if audited.quick:
        yield "  quick: of sealed recordings only size, head and seal were looked at; what lies between was not read"
    counts = audited.counts
    since = f", the oldest since {moment(counts.running_since)}" if counts.running else ""
    lines = (
        (counts.proved, "proved by the log"),
        (counts.later, "sealed after the checkpoint: proved by their seal only"),
        (counts.older, "older than the log: proved by their seal only"),
        (counts.running, f"without a seal yet{since}: nothing proves them"),
        (counts.deleted, "deleted by `hoopx audit gc`, as the log says"),
        (counts.spooled, "of all these not in the store yet, but in the spool"),
    )
    yield from (f"  {count} {what}" for count, what in lines if count)
    yield from (f"  {each.what}{_and_more(each)}" for each in audited.remarks)
    if not audited.findings:
        for one in audited.cosigned:
            yield f"cosigned by {one.witness} at {moment(one.at)}, over {one.size} leaves"


def _more(finding: Finding) -> str:
    return str(finding.more) if finding.more else ""


def _and_more(finding: Finding) -> str:
    return f" (and {finding.more} more)" if finding.more else ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"`{path}` cannot be read", "name a file that `hoopx audit checkpoint` wrote") from error

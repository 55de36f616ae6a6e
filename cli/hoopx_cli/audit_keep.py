"""`hoopx audit hold/release/holds/gc`: keep recordings beyond their time, and delete those that are over it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from hoopx_broker.api.messages import Collected, HoldView
from hoopx_cli.audit import audit
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option

Reason = Annotated[str, Option(metavar="TEXT", help="Why; it stands in the log of what happened.")]


@audit.command()
def hold(
    kit: Kit,
    session: Annotated[str, Argument(metavar="SESSION", help="A session's id, as `hoopx sessions ls` lists it.")],
    reason: Reason,
) -> None:
    """Example: hoopx audit hold s_4k2m8q0xyz4k2m8q --reason 'case 17'

    Keep the recording of a session, whatever its time, until the hold is released. Several holds on one recording do
    not know of each other: it stays until the last is released.
    """
    done = kit.api.hold(session, reason)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    else:
        kit.out.data(done.id)
        kit.out.say(f"`{session}` is held; `hoopx audit release {done.id} --reason WHY` lets it go")


@audit.command()
def release(
    kit: Kit,
    hold_: Annotated[str, Argument(metavar="HOLD", help="A hold's id, as `hoopx audit holds` lists it.")],
    reason: Reason,
) -> None:
    """Example: hoopx audit release h_4k2m8q0xyz --reason 'case 17 is settled'

    Release a hold. The recording stays as long as its class says, and as others hold it.
    """
    done = kit.api.release(hold_, reason)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    else:
        kit.out.say(f"`{done.session}` is not held by `{done.id}` any more")


@audit.command()
def holds(
    kit: Kit,
    session: Annotated[str, Option(metavar="SESSION", help="Only those on this session.")] = "",
    everything: Annotated[bool, Option("--all", help="Also those that were released.")] = False,
) -> None:
    """Example: hoopx audit holds --all

    List legal holds, the newest first.
    """
    found = kit.api.holds(session, everything=everything)
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    elif not found:
        kit.out.say("nothing is held")
    else:
        kit.out.table(("hold", "session", "target", "since", "by", "reason", "released"), map(_row, found))


@audit.command()
def gc(
    kit: Kit,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be deleted.")] = False,
) -> None:
    """Example: hoopx audit gc --dry-run

    Delete recordings that are over their time and that nobody holds. Says of each what became of it, and why it stays.
    The rows of their sessions stay, and say that the recording was deleted.
    """
    found: list[Collected] = []
    not_yet = 0
    for page in kit.api.collect(dry_run=dry_run):
        found += page.recordings
        not_yet += page.not_yet
    if kit.out.form is Form.JSON:
        kit.out.json(found)
        return
    if found:
        rows = [(e.session, e.target, e.retention, moment(e.over_since), e.outcome, e.why) for e in found]
        kit.out.table(("session", "target", "class", "over since", "outcome", "why"), rows)
    counts = Counter(each.outcome for each in found)
    done = "would be deleted" if dry_run else "deleted"
    deleted = counts["would-delete"] + counts["deleted"]
    kit.out.say(f"{deleted} {done}, {counts['kept']} over their time stay, {not_yet} are not over their time yet")


def _row(hold: HoldView) -> tuple[str, ...]:
    released = f"{moment(hold.released_at)} by {hold.released_by}" if hold.released_at else ""
    return hold.id, hold.session, hold.target, moment(hold.held_at), hold.held_by, hold.reason, released

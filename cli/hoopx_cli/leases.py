"""`hoopx leases ls/revoke`: which credentials are out there, and the emergency brake."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from hoopx_broker.api.messages import LeaseRevoked, LeaseView, RevokeLeases
from hoopx_broker.terms.errors import BackendFailed, BadInput, Denied
from hoopx_broker.terms.people import spoken
from hoopx_cli import names
from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form, moment
from hoopx_cli.places import Argument, Option

app = group("Example: hoopx leases ls")
leases = group("Example: hoopx leases ls --target prod-db\n\nCredentials that were made for sessions.")
app.add(leases, "leases")

Ids = Annotated[list[str] | None, Argument(metavar="[ID...]", help="Leases, as `hoopx leases ls` lists them.")]
OfTarget = Annotated[str, Option("--target", metavar="TARGET", help="Only those on this target.")]
OfUser = Annotated[str, Option("--user", metavar="USER", help="Only this user's, and those of their agents.")]


@leases.command()
def ls(
    kit: Kit,
    target: OfTarget = "",
    user: OfUser = "",
    state: Annotated[str, Option(metavar="STATE", help="Only those that are pending, live, ending or ended.")] = "",
    session: Annotated[str, Option(metavar="SESSION", help="Only that of this session.")] = "",
    everything: Annotated[bool, Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, Option(metavar="N", least=1, most=1_000, help="At most so many.")] = 200,
) -> None:
    """Example: hoopx leases ls --state ending

    List leases that you may see and that are not over, the newest first. One that is `ending` for more than seconds
    could not be revoked yet: the last error says why, and it is tried again.
    """
    also = "true" if everything else ""
    found = kit.api.leases(target=target, user=user, state=state, session=session, all=also, limit=str(limit))
    names.keep(kit.settings, "leases", (one.id for one in found))
    if kit.out.form is Form.JSON:
        kit.out.json(found)
    elif not found:
        kit.out.say("no leases to show")
    else:
        kit.out.table(_HEADINGS, map(_row, found), _SPARE)


@leases.command()
def revoke(
    kit: Kit,
    ids: Ids = None,
    target: OfTarget = "",
    user: OfUser = "",
    everything: Annotated[bool, Option("--all", help="All that you may revoke.")] = False,
    reason: Annotated[str, Option(metavar="TEXT", help="Why; those who are cut off are told.")] = "",
    yes: Annotated[bool, Option("--yes", help="Do not ask whether --all is meant.")] = False,
) -> None:
    """Example: hoopx leases revoke --target prod-db --reason 'incident 42'

    The emergency brake: end the sessions of these leases now, and revoke their credentials. Says of each what became of
    it; 15 means that some are not confirmed to be gone yet. It keeps nobody from opening a new session: see
    `hoopx admin revoke`.
    """
    order = RevokeLeases(tuple(ids or ()), target, user, everything, reason)
    _check_meant(order)
    if everything and not yes:
        _make_sure(kit)
    done = kit.api.revoke_leases(order)
    if kit.out.form is Form.JSON:
        kit.out.json(done)
    elif not done:
        kit.out.say("no leases to revoke")
    else:
        rows = [(one.id, one.target, spoken(one.user, one.on_behalf_of), one.outcome, one.why) for one in done]
        kit.out.table(("lease", "target", "user", "outcome", "why"), rows)
    _judge(done)


_HEADINGS = (
    "lease",
    "target",
    "source",
    "user",
    "session",
    "state",
    "since",
    "ends",
    "attempts",
    "next attempt",
    "last error",
)
# What a narrow terminal does without, the first of these first.
_SPARE = ("since", "attempts", "session", "next attempt", "source")


def _row(lease: LeaseView) -> tuple[str, ...]:
    return (
        lease.id,
        lease.target,
        lease.source,
        spoken(lease.user, lease.on_behalf_of),
        lease.session,
        lease.state,
        moment(lease.created_at),
        moment(lease.ended_at or lease.expires_at),
        str(lease.attempts),
        moment(lease.next_attempt),
        f"ends by itself at {moment(lease.fades_at)}" if lease.fades_at and not lease.ended_at else lease.last_error,
    )


def _check_meant(order: RevokeLeases) -> None:
    ways = [bool(order.leases), bool(order.target or order.user), order.everything]
    if ways.count(True) != 1:
        raise BadInput("say which leases to revoke", "give their ids, or --target and --user, or --all")


def _make_sure(kit: Kit) -> None:
    if not sys.stdin.isatty():
        raise BadInput("--all ends every session that you may end", "say --yes if that is meant")
    kit.out.ask(f"revoke all leases that you may revoke, of {len(kit.api.leases(limit='1000'))} that you see? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise BadInput("nothing was revoked", "say --yes to revoke without being asked")


def _judge(done: Sequence[LeaseRevoked]) -> None:
    """Scripts go by the exit code: 0 only where all are confirmed to be gone."""
    queued = sum(one.outcome == "queued" for one in done)
    denied = sum(one.outcome == "denied" for one in done)
    if queued:
        raise BackendFailed(
            f"{queued} of {len(done)} leases are not confirmed to be gone yet",
            "they are tried again until they are; `hoopx leases ls --state ending` shows them",
        )
    if denied:
        raise Denied(f"you may not revoke {denied} of {len(done)} leases", "ask whoever may, for instance `security`")

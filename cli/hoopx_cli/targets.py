"""`hoopx ls` and `hoopx show`."""

from __future__ import annotations

from typing import Annotated

from hoopx_broker.api.messages import TargetView
from hoopx_cli import names
from hoopx_cli.commands import group
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.places import Argument

app = group("Example: hoopx ls")

_ACCESS = {"allowed": "allowed", "approval": "needs approval", "denied": "denied"}


@app.command()
def ls(kit: Kit) -> None:
    """Example: hoopx ls

    List the targets that you may see, and whether you may open a session there.
    """
    targets = sorted(kit.api.targets(), key=lambda target: target.name)
    names.keep(kit.settings, "targets", (target.name for target in targets))
    if kit.out.form is Form.JSON:
        kit.out.json(targets)
        return
    if not targets:
        kit.out.say("there is no target that you may see")
        return
    rows = [
        (one.name, one.kind, one.database or one.region, _ACCESS.get(one.access, one.access), _labels(one))
        for one in targets
    ]
    kit.out.table(("target", "kind", "database", "access", "labels"), rows)


@app.command()
def show(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
) -> None:
    """Example: hoopx show prod-db

    Show one target: what is allowed there, what needs approval, and what stays masked for you.
    """
    # Windows of time bring zones of time, which `ls` has no use for.
    from hoopx_broker.conditions.written import lines as conditions_of

    seen = kit.api.target(target)
    if kit.out.form is Form.JSON:
        kit.out.json(seen)
        return
    kit.out.fields(
        [
            ("target", seen.name),
            ("kind", seen.kind),
            ("database", seen.database),
            ("region", seen.region),
            ("account", seen.account),
            ("access", _ACCESS.get(seen.access, seen.access)),
            ("because", seen.reason),
            ("rules", ", ".join(seen.rules)),
            ("approvers", people(seen.approvers)),
            ("conditions", "\n".join(conditions_of(seen.conditions))),
            ("masked", "\n".join(seen.masked)),
            ("labels", _labels(seen)),
        ]
    )
    if seen.access == "approval":
        ticket = " --ticket TICKET" if seen.conditions.needs_ticket else ""
        kit.out.say(f"ask with: hoopx request {seen.name} --reason WHY{ticket}")


def people(approvers: dict[str, int]) -> str:
    """`2 of dba, 1 of security`."""
    return ", ".join(f"{count} of {group}" for group, count in sorted(approvers.items()))


def _labels(target: TargetView) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(target.labels.items()))

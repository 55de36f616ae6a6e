"""`hoopx agent`: a command that works on behalf of the person who is logged in, and may do less."""

from __future__ import annotations

from typing import Annotated

from hoopx_broker.api.messages import TargetView
from hoopx_broker.terms.errors import BadInput, Denied
from hoopx_cli.commands import WITH_CHILD, group
from hoopx_cli.connect import For, Reason, Ticket, Wait, command_of, unrunnable
from hoopx_cli.durations import seconds_of
from hoopx_cli.kit import Kit
from hoopx_cli.places import Option
from hoopx_cli.targets import people

app = group("Example: hoopx agent --as claude -- claude")

STDOUT = "-"


@app.command(WITH_CHILD)
def agent(
    kit: Kit,
    as_: Annotated[str, Option("--as", metavar="AGENT", help="Which agent acts [HOOPX_AGENT_NAME].")] = "",
    target: Annotated[
        list[str] | None, Option(metavar="TARGET", help="Only this target; may be given again for others.")
    ] = None,
    instructions: Annotated[
        str, Option(metavar="FILE|-", help="Write what the agent should know to a file, or to stdout.")
    ] = "",
    idle: Annotated[str, Option(metavar="DURATION", help="End a session so long after its last client.")] = "5m",
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Wait = "15m",
) -> int:
    """Example: hoopx agent --as claude -- claude

    Run a command as an agent on your behalf: it may do what policy allows to both of you, and every recording names
    you both. Each target that policy gives has a local socket, in <TARGET>_DATABASE_URL (with one target also in
    DATABASE_URL and PG*). Its session opens when the first client connects, and ends a while after the last.
    Nothing of your login is handed to the command. docs/agents.md says what else it can reach as your Unix user.
    """
    command = command_of(kit)
    rest, patience, length = seconds_of(idle, "--idle"), seconds_of(wait, "--wait"), seconds_of(for_, "--for")
    # The tunnel and the event loop cost 120 ms of imports, which a wrong option need not wait for.
    from hoopx_cli import errand
    from hoopx_cli.errand import Terms

    if code := unrunnable(kit, command):
        return code
    delegate = errand.delegate(kit, as_)
    targets = chosen(delegate.targets, target or [], delegate.spoken, delegate.others)
    _announce(kit, delegate.spoken, targets)
    file = _instruct(kit, delegate, targets, rest, instructions)
    return errand.run(kit, delegate, targets, Terms(reason, ticket, length, patience, rest), file)


def chosen(given: list[TargetView], named: list[str], who: str, others: tuple[str, ...] = ()) -> list[TargetView]:
    """In the order of their names. Raises `Denied` where policy does not give one that is wanted, or none at all."""
    from hoopx_cli.access import demand_distinct

    by_name = {one.name: one for one in given}
    for name in named:
        if name in others:
            message = f"`{name}` is no database: its keys cannot wait until somebody connects"
            raise BadInput(message, "docs/aws.md says how agents come to AWS")
        if name not in by_name:
            raise Denied(f"policy gives no target `{name}` to `{who}`", _others(by_name))
    if not given:
        raise Denied(f"policy gives no target to `{who}`", "whoever keeps the policies of hoopx decides what it may do")
    taken = sorted(set(named) or by_name)
    demand_distinct(taken)
    return [by_name[name] for name in taken]


def _others(known: dict[str, TargetView]) -> str:
    return f"it gives: {', '.join(sorted(known))}" if known else "it gives none"


def _announce(kit: Kit, who: str, targets: list[TargetView]) -> None:
    kit.out.say(f"`{who}` may use:")
    for one in targets:
        waits = f", after approval by {people(one.approvers)}" if one.access == "approval" else ""
        kit.out.say(f"  {one.name}{waits}")


def _instruct(kit: Kit, delegate: object, targets: list[TargetView], idle: int, asked: str) -> str:
    """Write the instructions where that is asked; gives the path of the file, if it is one."""
    if not asked:
        return ""
    from pathlib import Path

    from hoopx_cli import instructions
    from hoopx_cli.durations import spoken
    from hoopx_cli.errand import Delegate

    assert isinstance(delegate, Delegate)
    briefing = instructions.Briefing(delegate.agent, delegate.human, targets, spoken(idle))
    text = instructions.text_of(briefing)
    if asked == STDOUT:
        kit.out.data(text.rstrip("\n"))
        return ""
    if not asked.strip():
        raise BadInput("--instructions names no file", "give it a file, or `-` for standard output")
    path = Path(asked).expanduser().absolute()
    instructions.put(path, text)
    return str(path)

"""`hoopx policy check`, `test` and `explain`: policies looked at without a broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.people import Principal, PrincipalKind
from hoopx_broker.terms.rulings import Allow
from hoopx_broker.terms.targets import ColumnName, Target, UpstreamTls
from hoopx_cli.broker import demanding_extra
from hoopx_cli.commands import HoopxCommand, group
from hoopx_cli.kit import Kit, kit_of
from hoopx_cli.output import Form

if TYPE_CHECKING:
    from hoopx_broker.policy.explain import Explanation

app = group("Example: hoopx policy test policies")
policy = group("Example: hoopx policy test policies\n\nPolicies: are they sound, do they do what they should, and why.")
app.add_typer(policy, name="policy")

Directory = Annotated[str, typer.Argument(metavar="DIRECTORY", help="Where the *.cedar files are.", show_default=False)]


@policy.command(cls=HoopxCommand)
def check(context: typer.Context, directory: Directory = "") -> None:
    """Example: hoopx policy check policies

    Check policies against their schema: every problem at once, each with file and line.
    Without DIRECTORY it is `policies` here, else the policies that come with hoopx.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.policy.load import load
        from hoopx_broker.policy.problems import BadPolicies
    place = _directory(directory)
    try:
        policies = load(place)
    except BadPolicies as bad:
        _list(kit, [str(problem) for problem in bad.problems])
        found = "1 problem" if len(bad.problems) == 1 else f"{len(bad.problems)} problems"
        raise _bad(f"{found} in `{place}`") from None
    if kit.out.form is Form.JSON:
        kit.out.json({"directory": str(place), "rules": sorted(policies.rules), "version": policies.version})
        return
    kit.out.say(f"`{place}` is in order: {len(policies.rules)} rules, version {policies.version}")


@policy.command("test", cls=HoopxCommand)
def try_cases(context: typer.Context, directory: Directory = "") -> None:
    """Example: hoopx policy test policies

    Try policies on the cases written for them (*.yaml beside them), through the real reader of SQL.
    Leaves with 2 when a case comes out otherwise than it says. Names the rules that no case reached.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.policy.load import load
        from hoopx_broker.policy.trial import run
    place = _directory(directory)
    trial = run(load(place))
    if kit.out.form is Form.JSON:
        failures = [str(failure) for failure in trial.failures]
        kit.out.json({"cases": trial.cases, "failures": failures, "unreached": trial.unreached})
    else:
        _list(kit, [str(failure) for failure in trial.failures])
    if trial.unreached:
        kit.out.say(f"no case reached: {', '.join(trial.unreached)}")
    if trial.failures:
        raise _bad(f"{len(trial.failures)} of {trial.cases} cases failed")
    if not trial.cases:
        raise BadInput(f"`{place}` holds no cases", "write some beside the policies, as *.yaml")
    kit.out.say(f"all {trial.cases} cases came out as they say")


@policy.command(cls=HoopxCommand)
def explain(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The statement.")],
    user: Annotated[str, typer.Option("--as", metavar="USER", help="Who would send it.")],
    target: Annotated[str, typer.Option("--on", metavar="TARGET", help="Where.")],
    groups: Annotated[str, typer.Option(metavar="A,B", help="The user's groups.")] = "",
    kind: Annotated[str, typer.Option(metavar="KIND", help="human, job or agent.")] = "human",
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label of the target.")] = None,
    classify: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=CLASS", help="A classified schema.table.column.")
    ] = None,
    approvals: Annotated[str, typer.Option(metavar="A,B", help="Groups that have approved.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The session's reason.")] = "",
    policies: Annotated[str, typer.Option(metavar="DIRECTORY", help="Where the *.cedar files are.")] = "",
) -> None:
    """Example: hoopx policy explain 'drop table t' --as ann --groups developers --on prod-db --label env=prod

    Why policy says what it says of a statement: what it does, each question asked, and the rule that answered.
    """
    kit = kit_of(context)
    with demanding_extra():
        from hoopx_broker.policy.explain import explain as explain_statement
        from hoopx_broker.policy.explain import render
        from hoopx_broker.policy.judge import CedarJudge
        from hoopx_broker.policy.load import load
        from hoopx_broker.seams.judge import Circumstances
    who = Principal(user, _kind(kind), tuple(_split(groups)), subject=user)
    labels = _pairs(label or [], "--label")
    classes = {_column(name): value for name, value in _pairs(classify or [], "--classify").items()}
    place = Target(target, "postgres", "", 0, "", UpstreamTls(), "static", labels, classes)
    # Rules look at whole minutes, so that the same question has the same answer for a while.
    now = int(time.time()) // 60 * 60
    circumstances = Circumstances(now, reason, approvals=frozenset(_split(approvals)))
    explanation = explain_statement(CedarJudge(load(_directory(policies))), who, place, sql, circumstances)
    if kit.out.form is Form.JSON:
        kit.out.json(_document(explanation))
    else:
        kit.out.text(render(explanation))


def _directory(named: str) -> Path:
    from hoopx_broker.policy.shipped import directory

    here = Path("policies")
    return Path(named) if named else here if here.is_dir() else directory()


def _list(kit: Kit, lines: list[str]) -> None:
    for line in lines:
        kit.out.text(line)


def _bad(message: str) -> BadInput:
    return BadInput(message, "each line names its file and line")


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(name and value for name, value in pairs.items()):
        raise BadInput(f"{option} takes NAME=VALUE", "for instance --label env=prod")
    return pairs


def _kind(text: str) -> PrincipalKind:
    match text:
        case "human" | "job" | "agent":
            return text
        case _:
            raise BadInput(f"`{text}` is no kind of user", "it is human, job or agent")


def _column(name: str) -> ColumnName:
    parts = name.split(".")
    if len(parts) != 3 or not all(parts):
        raise BadInput(f"`{name}` is not schema.table.column", "for instance --classify public.customers.email=email")
    return ColumnName(*parts)


def _document(explanation: Explanation) -> dict[str, object]:
    """The ruling with its kind, and each statement with the questions it raised."""
    statements = [
        {"kind": one.facts.kind, "questions": [msgspec.to_builtins(asked) for asked in one.questions]}
        for one in explanation.statements
    ]
    ruling = msgspec.structs.asdict(explanation.ruling)
    if isinstance(explanation.ruling, Allow):
        ruling["masks"] = {str(column): kind for column, kind in explanation.ruling.masks.items()}
    return {"ruling": type(explanation.ruling).__name__.lower(), **ruling, "statements": statements}

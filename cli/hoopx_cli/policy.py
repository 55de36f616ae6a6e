"""`hoopx policy check`, `test`, `explain` and `replay`: policies looked at without a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.terms.errors import BadInput, ExitCode
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.rulings import Allow
from hoopx_broker.terms.targets import Target
from hoopx_cli import scene
from hoopx_cli.broker import demanding_extra
from hoopx_cli.commands import LOCAL, group
from hoopx_cli.durations import seconds_of
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.places import Argument, Option

if TYPE_CHECKING:
    from hoopx_broker.policy.explain import Explanation

app = group("Example: hoopx policy test policies")
policy = group("Example: hoopx policy test policies\n\nPolicies: are they sound, do they do what they should, and why.")
app.add(policy, "policy")

Directory = Annotated[str, Argument(metavar="DIRECTORY", help="Where the *.cedar files are.")]


@policy.command(LOCAL)
def check(kit: Kit, directory: Directory = "") -> None:
    """Example: hoopx policy check policies

    Check policies against their schema: every problem at once, each with file and line.
    Without DIRECTORY it is `policies` here, else the policies that come with hoopx.
    """
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


@policy.command(LOCAL, name="test")
def try_cases(kit: Kit, directory: Directory = "") -> None:
    """Example: hoopx policy test policies

    Try policies on the cases written for them (*.yaml beside them), through the real reader of SQL.
    Leaves with 2 when a case comes out otherwise than it says. Names the rules that no case reached.
    """
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


@policy.command(LOCAL)
def explain(
    kit: Kit,
    sql: Annotated[str, Argument(metavar="SQL", help="The statement.")] = "",
    user: Annotated[str, Option("--as", metavar="USER", help="Who would send it.")] = "",
    target: Annotated[str, Option("--on", metavar="TARGET", help="Where.")] = "",
    connect: Annotated[bool, Option("--connect", help="Explain the opening of a session instead.")] = False,
    extend: Annotated[bool, Option("--extend", help="Explain that a session goes on for longer instead.")] = False,
    recording: Annotated[
        str, Option(metavar="FILE", help="A recorded session: who, where, when and why are taken from it.")
    ] = "",
    statement: Annotated[
        str, Option(metavar="N", help="Its statement of this number, as `hoopx sessions replay` shows it.")
    ] = "",
    identity: Annotated[
        str, Option(metavar="FILE", help="An age identity file, for a recording that is encrypted.")
    ] = "",
    groups: Annotated[str, Option(metavar="A,B", help="The user's groups.")] = "",
    kind: Annotated[str, Option(metavar="KIND", help="human, job or agent.")] = "human",
    behalf: Annotated[
        str, Option("--on-behalf-of", metavar="USER", help="The human that the user, an agent, acts for.")
    ] = "",
    theirs: Annotated[str, Option("--their-groups", metavar="A,B", help="That human's groups.")] = "",
    label: Annotated[list[str] | None, Option(metavar="NAME=VALUE", help="A label of the target.")] = None,
    classify: Annotated[
        list[str] | None, Option(metavar="COLUMN=CLASS", help="A classified schema.table.column.")
    ] = None,
    approvals: Annotated[str, Option(metavar="A,B", help="Groups that have approved.")] = "",
    reason: Annotated[str, Option(metavar="TEXT", help="The session's reason.")] = "",
    ticket: Annotated[str, Option(metavar="TICKET", help="The session's ticket.")] = "",
    for_: Annotated[str, Option("--for", metavar="DURATION", help="The length that is asked for, as 1h.")] = "",
    at: Annotated[
        str, Option("--at", metavar="TIME", help="As of then: 2026-07-01T22:00:00+02:00. Without it now.")
    ] = "",
    policies: Annotated[str, Option(metavar="DIRECTORY", help="Where the *.cedar files are.")] = "",
) -> None:
    """Example: hoopx policy explain 'drop table t' --as ann --groups developers --on prod-db --label env=prod

    Why policy says what it says of a statement: what it does, each question asked, and the rule that answered.
    With --recording it is a statement that was recorded, under the policies of today; labels and classes of the
    target are not recorded. Names are resolved without the target's catalog.
    """
    with demanding_extra():
        from hoopx_broker.policy.explain import explain as explain_statement
        from hoopx_broker.policy.explain import explain_extending, explain_opening
        from hoopx_broker.policy.judge import CedarJudge
        from hoopx_broker.policy.load import load
        from hoopx_broker.policy.told import render
    _demand_one(sql, statement, opening=connect or extend)
    if extend and (recording or connect):
        raise BadInput("--extend stands alone", "give --as USER, --on TARGET, --extend and --for 30m")
    when = scene.time_of(at)
    length = seconds_of(for_, "--for")
    given = Circumstances(when or scene.now(), reason, ticket, length, frozenset(scene.split(approvals)))
    place = scene.target_of(target, label or [], classify or [])
    if recording:
        asked, recorded = _recorded((recording, identity), statement, place, given, when)
    elif user and target:
        who = scene.principal_of(user, kind, groups, behalf, theirs)
        asked, recorded = scene.Scene(who, place, given, sql or None), {}
    else:
        raise BadInput("who, and where?", "give --as USER and --on TARGET, or --recording FILE")
    judge = CedarJudge(load(_directory(policies)))
    if extend:
        explanation = explain_extending(judge, asked.who, asked.target, asked.circumstances)
    elif asked.text is None:
        explanation = explain_opening(judge, asked.who, asked.target, asked.circumstances)
    else:
        explanation = explain_statement(judge, asked.who, asked.target, asked.text, asked.circumstances)
    if kit.out.form is Form.JSON:
        kit.out.json({**_document(explanation), **recorded})
    else:
        if "recorded" in recorded:
            kit.out.say(_as_recorded(recorded["recorded"]))
        kit.out.text(render(explanation))


@policy.command()
def replay(
    kit: Kit,
    sessions: Annotated[list[str] | None, Argument(metavar="[SESSION|FILE...]", help="Recorded sessions.")] = None,
    policies: Annotated[str, Option(metavar="DIRECTORY", help="The policies to judge by.")] = "",
    against: Annotated[
        str, Option(metavar="DIRECTORY", help="Compare with these policies, not with what was recorded.")
    ] = "",
    user: Annotated[str, Option(metavar="USER", help="Sessions of this user, from the broker.")] = "",
    target: Annotated[str, Option(metavar="TARGET", help="Sessions with this target, from the broker.")] = "",
    since: Annotated[str, Option(metavar="DURATION", help="Sessions opened no longer ago, as 7d.")] = "",
    limit: Annotated[int, Option(metavar="N", least=1, most=10_000, help="At most so many of those.")] = 50,
    config: Annotated[
        str, Option("--config", "-c", metavar="FILE", help="A hoopx.yaml with the labels and classes of targets.")
    ] = "",
    label: Annotated[list[str] | None, Option(metavar="NAME=VALUE", help="A label of the target.")] = None,
    classify: Annotated[
        list[str] | None, Option(metavar="COLUMN=CLASS", help="A classified schema.table.column.")
    ] = None,
    identity: Annotated[
        str, Option("--identity", metavar="FILE", help="An age identity file, for recordings that are encrypted.")
    ] = "",
    exit_code: Annotated[
        int, Option("--exit-code", metavar="N", least=0, most=125, help="Leave with N where something differs.")
    ] = int(ExitCode.USAGE),
) -> int:
    """Example: hoopx policy replay --since 7d --target prod-db --policies policies --config hoopx.yaml

    Judge recorded sessions by changed policies, and list what would come out otherwise: the opening, each statement,
    the masks. It leaves with 2 where something does, or with --exit-code. Names are resolved without the target's
    catalog: what only that could tell is counted apart, and alone makes no difference.
    """
    with demanding_extra():
        from hoopx_cli import policy_replay_run
    wanted = policy_replay_run.Wanted(
        sessions=tuple(sessions or ()),
        policies=_directory(policies),
        against=Path(against) if against else None,
        user=user,
        target=target,
        since=seconds_of(since, "--since") if since else 0,
        limit=limit,
        config=Path(config) if config else None,
        place=scene.target_of("", label or [], classify or []),
        identity=identity,
    )
    return exit_code if policy_replay_run.run(kit, wanted) else 0


def _demand_one(sql: str, statement: str, *, opening: bool) -> None:
    if [bool(sql), bool(statement), opening].count(True) != 1:
        hint = "give SQL, --connect or --extend, or --recording FILE with --statement N or --connect"
        raise BadInput("explain what?", hint)


def _recorded(
    named: tuple[str, str], statement: str, place: Target, given: Circumstances, at: int | None
) -> tuple[scene.Scene, dict[str, dict[str, Any]]]:
    """Take the scene from a recording, and what was recorded of it."""
    from hoopx_cli import recorded  # reading recordings takes cryptography
    from hoopx_cli.sessions import age_identity

    file, who = named[0], age_identity(named[1])

    if place.name:
        raise BadInput("the recording says who and where", "leave out --as and --on")
    try:
        with Path(file).open("rb") as stream:
            opened = recorded.opening(stream, who)
            found = recorded.find(stream, statement, who) if statement else None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"`{file}` cannot be read: {reason}", "name an exported recording") from None
    told = {"session": opened.session, "policy": opened.policy, "rules": opened.rules, "shadow": opened.shadow}
    if found is not None:
        of_it = {"statement": found.name, "ruling": found.ruling, "rules": found.rules, "shadow": found.shadow}
        told = {**told, **of_it}
    return scene.of_recording(opened, found, place, given, at), {"recorded": told}


def _as_recorded(told: dict[str, Any]) -> str:
    what = f"{told['statement']} of {told['session']}" if "statement" in told else told["session"]
    ruling = told.get("ruling", "allow")
    rules = f"{ruling} by {', '.join(told['rules'])}" if ruling else "ran, as it was prepared"
    shadow = f"; in shadow: {told['shadow']}" if told["shadow"] else ""
    return f"recorded {what} under policy {told['policy']}: {rules}{shadow}"


def _directory(named: str) -> Path:
    from hoopx_broker.policy.shipped import directory

    here = Path("policies")
    return Path(named) if named else here if here.is_dir() else directory()


def _list(kit: Kit, lines: list[str]) -> None:
    for line in lines:
        kit.out.text(line)


def _bad(message: str) -> BadInput:
    return BadInput(message, "each line names its file and line")


def _document(explanation: Explanation) -> dict[str, object]:
    """The ruling with its kind, and each statement with its facts and the questions it raised."""
    statements = [
        {"kind": one.facts.kind, "facts": _facts(one.facts), "questions": msgspec.to_builtins(one.questions)}
        for one in explanation.statements
    ]
    ruling = msgspec.structs.asdict(explanation.ruling)
    if isinstance(explanation.ruling, Allow):
        ruling["masks"] = {str(column): kind for column, kind in explanation.ruling.masks.items()}
    opening = {"opening": msgspec.to_builtins(explanation.opening)} if explanation.opening else {}
    return {"ruling": type(explanation.ruling).__name__.lower(), **ruling, "statements": statements, **opening}


# Of the facts, those that rules can look at.
_TOLD = ("tables", "columns", "functions", "dangerous", "settings", "has_where", "has_limit")


def _facts(facts: StatementFacts) -> dict[str, object]:
    told = {name: msgspec.to_builtins(getattr(facts, name)) for name in _TOLD}
    return {"kinds": sorted(facts.kinds), "doubtful": sorted(facts.doubtful), **told}

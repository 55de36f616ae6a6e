"""`hoopx policy replay`: find the sessions, judge them one after the other, and print what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct, structs, to_builtins

from hoopx_broker.policy.judge import CedarJudge
from hoopx_broker.policy.load import Policies, load
from hoopx_broker.policy.problems import BadPolicies
from hoopx_broker.recording.bundle import read_part
from hoopx_broker.recording.replay import moments
from hoopx_broker.terms.entries import Opened
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.targets import Target
from hoopx_cli.inert import inert
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.policy_replay import Bench, Judged, Outcome, Tally, changes, judge_session
from hoopx_cli.sessions import age_identity, opened_recording

_MAX_TEXT = 100  # characters of a statement in the list; `-o json` has it whole


class Wanted(Struct, frozen=True, kw_only=True):
    """What is asked for. `since` is seconds ago; `place` has the labels and classes given by hand."""

    sessions: tuple[str, ...]
    policies: Path
    against: Path | None
    user: str
    target: str
    since: int
    limit: int
    config: Path | None
    place: Target
    identity: str


def run(kit: Kit, wanted: Wanted) -> bool:
    """Whether anything differs. What differs is printed as it is found; memory holds one statement."""
    judge = CedarJudge(_loaded(kit, wanted.policies))
    before = CedarJudge(_loaded(kit, wanted.against)) if wanted.against else None
    bench = Bench(judge, before, _targets(kit, wanted))
    who, tally = age_identity(wanted.identity), Tally()
    for named in _named(kit, wanted):
        kit.out.status(f"judging {named}")
        tally.sessions += 1
        with opened_recording(kit, named, "replay") as file:
            read_part(file)
            for judged in judge_session(bench, file, moments(file, who)):
                tally.take(judged)
                if judged.differs:
                    _print(kit, judged)
    kit.out.status("")
    _sum_up(kit, tally, has_recorded=before is None)
    return bool(tally.changes)


def _named(kit: Kit, wanted: Wanted) -> Iterator[str]:
    if wanted.sessions and (wanted.user or wanted.target or wanted.since):
        raise BadInput("sessions are named, and looked for", "name them, or give --user, --target and --since")
    if wanted.sessions:
        yield from wanted.sessions
        return
    if not (wanted.user or wanted.target or wanted.since):
        raise BadInput("which sessions?", "name sessions or files, or give --user, --target or --since 7d")
    since = str(time.time() - wanted.since) if wanted.since else ""
    found = kit.api.sessions(wanted.limit, user=wanted.user, target=wanted.target, since=since).sessions
    yield from (one.id for one in found)
    if len(found) >= wanted.limit:
        kit.out.insist(f"the newest {wanted.limit} sessions were looked at; --limit takes more")


def _loaded(kit: Kit, place: Path) -> Policies:
    try:
        return load(place)
    except BadPolicies as bad:
        for problem in bad.problems:
            kit.out.insist(str(problem))
        raise BadInput(f"`{place}` is not in order", "each line names its file and line") from None


def _targets(kit: Kit, wanted: Wanted) -> Callable[[Opened], Target]:
    """Labels and classes are not recorded: they are those of the configuration, or what was given by hand."""
    known: dict[str, Target] = {}
    if wanted.config is not None:
        from hoopx_broker.daemon.config import load as load_config

        known = load_config(wanted.config, kit.environ).targets
    told: set[str] = set()

    def target(opened: Opened) -> Target:
        if opened.target in known:
            return known[opened.target]
        if opened.target not in told and not wanted.place.classify:
            told.add(opened.target)
            kit.out.say(f"no classes of `{opened.target}` are known here, so its masks are not compared: give --config")
        return structs.replace(wanted.place, name=opened.target, database=opened.database)

    return target


def _print(kit: Kit, judged: Judged) -> None:
    if kit.out.form is Form.JSON:
        kit.out.json({"type": "difference", "changes": list(changes(judged)), **to_builtins(judged)})
        return
    doubt = "?" if judged.in_doubt else " "
    what = judged.name or "opening"
    whole = inert(" ".join(judged.text.split()))
    text = whole if len(whole) <= _MAX_TEXT else f"{whole[: _MAX_TEXT - 1]}…"
    kit.out.data(f"{doubt} {inert(judged.session)} {inert(what)}  {_change(judged)}")
    kit.out.data(f"    {inert(judged.user)} on {inert(judged.target)}" + (f": {text}" if text else ""))
    if judged.in_doubt:
        kit.out.data(f"    not sure: {inert(', '.join(judged.in_doubt))}")


def _change(judged: Judged) -> str:
    then, now = judged.then, judged.now
    parts = [f"{_said(then)} → {_said(now)}"] if then.says != now.says else []
    more, less = sorted(set(now.masked) - set(then.masked)), sorted(set(then.masked) - set(now.masked))
    parts += [f"masks more: {', '.join(map(inert, more))}"] if more else []
    parts += [f"masks less: {', '.join(map(inert, less))}"] if less else []
    return "; ".join(parts)


def _said(outcome: Outcome) -> str:
    by = f" by {', '.join(map(inert, outcome.rules))}" if outcome.rules else ""
    return f"{outcome.says}{by}"


def _sum_up(kit: Kit, tally: Tally, *, has_recorded: bool) -> None:
    if kit.out.form is Form.JSON:
        counts = {"sessions": tally.sessions, "statements": tally.statements, "unsure": tally.unsure}
        found = {"changes": dict(tally.changes), "in_doubt": dict(tally.in_doubt)}
        kit.out.json({"type": "summary", **counts, **found})
        return
    counted = ", ".join(f"{number} {change}" for change, number in sorted(tally.changes.items())) or "nothing differs"
    kit.out.say(f"{tally.sessions} sessions, {tally.statements} statements: {counted}")
    if has_recorded and tally.unsure:
        kit.out.say(
            f"{tally.unsure} statements were judged without the target's catalog, which knows more: of those"
            f" {sum(tally.in_doubt.values())} came out otherwise (marked ?); --against tells what policy changed"
        )

"""Read the rules of an identity entry: which claims a token must have, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hoopx_broker.daemon import values
from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.identity.owners import owner_claims
from hoopx_broker.identity.patterns import problem_of
from hoopx_broker.identity.rules import never_holds
from hoopx_broker.terms.settings import Rule, Wanted

_DEFAULT = Rule({})


def read_rules(entry: Section, issuer: str) -> tuple[Rule, ...]:
    """The rules of an entry in the order of the file, each able to hold for some token of `issuer`."""
    if not entry.asks("rules"):
        return ()
    rules = []
    for section in entry.items("rules"):
        rule = _rule(section)
        if section.has("when") and all(HOLE not in wanted for wanted in _wanted(rule.when)):
            _check(section, rule, issuer)
        section.close()
        rules.append(rule)
    return tuple(rules)


def _rule(section: Section) -> Rule:
    when = section.section("when")
    return Rule(
        when=when.tree(_pattern),
        groups=section.texts_or("groups", (), values.group_name),
        pull_requests=section.flag_or("pull_requests", _DEFAULT.pull_requests),
        agent=section.parsed_or("kind", _kind, None) is not None,
    )


def _check(section: Section, rule: Rule, issuer: Any) -> None:
    if not rule.when:
        section.note("when", "names no claim", "name the claims of the jobs that it is for, for example `repository`")
    elif (claim := never_holds(rule)) is not None:
        what = f"never holds: with this `{claim}` every token is one of a proposed change"
        section.note("when", what, "add `pull_requests: true` to the rule, or take the claim out")
    elif issuer is not HOLE and (claims := owner_claims(issuer, rule)):
        named = ", ".join(f"`{each}`" for each in claims)
        what = f"holds for the jobs of strangers: `{issuer}` signs for them, too"
        section.note("when", what, f"name an owner, without `*` in the owner's name, in one of {named}")


def _wanted(when: dict[str, Wanted]) -> Iterator[Any]:
    """All lists of patterns, however deep; a hole, where something else stands."""
    for wanted in when.values():
        if isinstance(wanted, dict):
            yield from _wanted(wanted)
        else:
            yield wanted if wanted is not HOLE else (HOLE,)


def _pattern(text: str) -> str:
    problem = problem_of(text)
    if problem is not None:
        raise Wrong(
            problem, "`*` stands for any text within one part (up to `/` or `:`), `/**` at the end for the rest"
        )
    return text


def _kind(text: str) -> str:
    if text != "agent":
        raise Wrong("is not a kind that a rule can give", "write `agent`, or take the key out")
    return text

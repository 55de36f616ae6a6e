"""Rules on claims: what a pattern takes, which groups follow, and every look-alike that gets nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.patterns import fits, problem_of
from hoopx_broker.identity.rules import holding, never_holds
from hoopx_broker.terms.errors import Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.settings import Claims, Rule
from tests.unit.identity_stage import NOW, Door, human, signed, workload
from tests.unit.identity_stage import claims as persons_claims
from tests.unit.job_claims import GITHUB_ISSUER, circleci, github, github_pull_request, gitlab, kubernetes

PRODUCTION = Rule(
    {"repository": ("acme/shop",), "ref": ("refs/heads/main",), "environment": ("production",)}, ("deployers",)
)
READERS = Rule({"repository": ("acme/shop",)}, ("ci-readers",), pull_requests=True)


def holds(rule: Rule, claims: dict[str, Any]) -> bool:
    try:
        return holding([rule], claims) == [rule]
    except NotAccepted:
        return False


def when(**wanted: Any) -> Rule:
    return Rule(wanted, ("g",))


# --- patterns -------------------------------------------------------------------------------------------------

TAKEN = [
    ("refs/heads/main", "refs/heads/main"),
    ("refs/heads/*", "refs/heads/main"),
    ("refs/heads/release-*", "refs/heads/release-"),
    ("refs/heads/*/fix", "refs/heads/ann/fix"),
    ("refs/heads/**", "refs/heads/ann/fix"),
    ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main"),
    ("repo:acme/shop:**", "repo:acme/shop:environment:production"),
    ("system:serviceaccount:prod:*", "system:serviceaccount:prod:deployer"),
    ("spiffe://example.org/ns/prod/**", "spiffe://example.org/ns/prod/sa/deployer"),
    ("*", "production"),
    ("**", "any/thing:at all\n"),
    ("*-*", "a-b-c"),
    ("a.c", "a.c"),
    ("true", True),
    ("false", False),
    ("true", "true"),
    ("17", 17),
    ("17", "17"),
    ("b", ["a", "b"]),
    ("acme/*", ["other/x", "acme/shop"]),
]
NOT_TAKEN = [
    ("refs/heads/main", "refs/heads/main-evil"),
    ("refs/heads/main", "refs/heads/Main"),
    ("refs/heads/main", "refs/heads/main\n"),
    ("refs/heads/main", " refs/heads/main"),
    ("refs/heads/main", "refs/heads/mаin"),  # a Cyrillic a
    ("refs/heads/main", "x/refs/heads/main"),
    ("refs/heads/*", "refs/heads/ann/fix"),
    ("refs/heads/*", "refs/heads/a:b"),
    ("refs/heads/**", "refs/heads"),
    ("acme/*", "acme-evil/shop"),
    ("acme/*", "evil/acme/shop"),
    ("acme/*", "acme/shop/more"),
    ("repo:acme/*", "repo:acme-evil/shop"),
    ("repo:acme/*:ref:refs/heads/main", "repo:acme/x:environment:a:ref:refs/heads/main"),
    ("repo:acme/*:ref:refs/heads/main", "repo:acme/x:ref:refs/heads/y:ref:refs/heads/main"),
    ("repo:acme/shop:environment:*", "repo:acme/shop:environment:x:pull_request"),
    ("system:serviceaccount:prod:*", "system:serviceaccount:prod-evil:deployer"),
    ("spiffe://example.org/**", "spiffe://example.org.evil.com/x"),
    ("a.c", "abc"),
    ("[ab]", "a"),
    ("a?", "ab"),
    ("{a,b}", "a"),
    (r"\d", "1"),
    ("main", "*"),
    ("main", "m*"),
    ("refs/heads/main", "refs/heads/**"),
    ("*", ""),
    ("**", ""),
    ("*", None),
    ("**", None),
    ("**", []),
    ("*", {}),
    ("**", {"a": "b"}),
    ("**", [["a"]]),
    ("**", [{"a": "b"}]),
    ("1", True),
    ("True", True),
    ("1", 1.0),
    ("1.0", 1.0),
    ("*", 2**70),
]


@pytest.mark.parametrize(("pattern", "claim"), TAKEN)
def test_a_pattern_takes(pattern: str, claim: object) -> None:
    assert problem_of(pattern) is None
    assert fits(pattern, claim)


@pytest.mark.parametrize(("pattern", "claim"), NOT_TAKEN, ids=lambda value: repr(value)[:60])
def test_a_pattern_does_not_take(pattern: str, claim: object) -> None:
    assert not fits(pattern, claim)


def test_a_number_beyond_all_bounds_fits_nothing() -> None:
    assert not fits("*", 10**5000)


def test_a_claim_made_to_be_slow_is_judged_at_once() -> None:
    assert not fits("*a" * 500, "a" * 16_000 + "b")


@pytest.mark.parametrize("pattern", ["", "a**", "repo:acme**", "**/a", "a/**/b", "/***", "/****", "a\n", "x" * 2000])
def test_a_pattern_that_says_more_than_it_seems_is_none(pattern: str) -> None:
    assert problem_of(pattern) is not None


# --- rules ----------------------------------------------------------------------------------------------------


def test_all_conditions_must_hold() -> None:
    assert holds(PRODUCTION, github())
    for name in ("repository", "ref", "environment"):
        assert not holds(PRODUCTION, github(**{name: "other"}))
        assert not holds(PRODUCTION, github(**{name: None}))
        assert not holds(PRODUCTION, github(**{name: ""}))


def test_of_several_values_one_is_enough() -> None:
    rule = when(ref=("refs/heads/main", "refs/tags/*"))
    assert holds(rule, github(ref="refs/tags/v1", event_name="release"))
    assert not holds(rule, github(ref="refs/heads/wip"))


def test_nested_claims_are_told_by_nested_conditions() -> None:
    rule = Rule({"kubernetes.io": {"namespace": ("prod",), "serviceaccount": {"name": ("deployer",)}}})
    assert holds(rule, kubernetes())
    assert not holds(rule, kubernetes(**{"kubernetes.io": {"namespace": "prod"}}))
    assert not holds(rule, kubernetes(**{"kubernetes.io": "prod"}))
    assert not holds(rule, kubernetes(**{"kubernetes.io": [{"namespace": "prod"}]}))
    assert not holds(rule, kubernetes(**{"kubernetes.io": None}))


def test_a_dot_or_slash_in_a_claims_name_is_no_way_into_it() -> None:
    deep = {"kubernetes": {"io": {"namespace": "prod"}}, "kubernetes.io.namespace": "prod"}
    assert not holds(Rule({"kubernetes.io": {"namespace": ("prod",)}}), deep)
    assert holds(Rule({"oidc.circleci.com/vcs-origin": ("github.com/acme/shop",)}), circleci())
    nested = {"oidc.circleci.com": {"vcs-origin": "github.com/acme/shop"}}
    assert not holds(Rule({"oidc.circleci.com/vcs-origin": ("github.com/acme/shop",)}), nested)


def test_a_map_where_a_text_is_wanted_holds_nothing_and_the_other_way_round() -> None:
    assert not holds(when(repository=("**",)), github(repository={"name": "acme/shop"}))
    assert not holds(Rule({"repository": {"name": ("**",)}}), github())


def test_gitlabs_texts_and_circlecis_booleans_are_one() -> None:
    assert holds(when(ref_protected=("true",)), gitlab())
    assert not holds(when(ref_protected=("true",)), gitlab(ref_protected="false"))
    assert holds(Rule({"oidc.circleci.com/ssh-rerun": ("false",)}), circleci())
    assert not holds(
        Rule({"oidc.circleci.com/ssh-rerun": ("false",)}), circleci(**{"oidc.circleci.com/ssh-rerun": True})
    )


def test_a_rule_is_not_for_proposed_changes_unless_it_says_so() -> None:
    anything = when(repository=("acme/shop",))
    assert not holds(anything, github_pull_request())
    assert holds(READERS, github_pull_request())
    assert holds(READERS, github())


def test_a_pull_request_gets_no_production_by_naming_its_environment_so() -> None:
    sly = github_pull_request(ref="refs/heads/main", environment="production", head_ref="", base_ref="")
    assert not holds(PRODUCTION, sly)


def test_every_rule_that_holds_adds_its_groups_once() -> None:
    again = Rule({"ref": ("refs/heads/main",)}, ("deployers", "auditors"))
    assert holding([PRODUCTION, READERS, again], github()) == [PRODUCTION, READERS, again]
    who = door(PRODUCTION, READERS, again).who(token(github()))
    assert who.groups == ("deployers", "ci-readers", "auditors")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("event_name", ("pull_request",)),
        ("event_name", ("pull_request", "merge_group")),
        ("event_name", ("pull_request*",)),
        ("ref", ("refs/pull/*",)),
        ("ref", ("refs/pull/**",)),
        ("ref", ("refs/heads/gh-readonly-queue/**",)),
        ("head_ref", ("*",)),
        ("head_ref", ("**",)),
        ("base_ref", ("main",)),
        ("sub", ("repo:acme/shop:pull_request",)),
        ("pipeline_source", ("merge_request_event",)),
        ("build_branch", ("mallory:main",)),
        ("oidc.circleci.com/vcs-ref", ("refs/pull/*",)),
    ],
)
def test_a_rule_that_waits_for_proposed_changes_only_can_never_hold(name: str, wanted: tuple[str, ...]) -> None:
    assert never_holds(Rule({"repository": ("acme/shop",), name: wanted})) == name
    assert never_holds(Rule({"repository": ("acme/shop",), name: wanted}, pull_requests=True)) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("event_name", ("pull_request", "push")),
        ("event_name", ("*",)),
        ("ref", ("refs/**",)),
        ("ref", ("refs/pull/*", "refs/heads/main")),
        ("sub", ("repo:acme/shop:*",)),
        ("pipeline_source", ("parent_pipeline",)),
    ],
)
def test_a_rule_that_can_hold_is_left_alone(name: str, wanted: tuple[str, ...]) -> None:
    assert never_holds(Rule({name: wanted})) is None


# --- through the gate -----------------------------------------------------------------------------------------


def door(*rules: Rule, **changes: Any) -> Door:
    return Door(workload(**({"issuer": GITHUB_ISSUER, "rules": rules} | changes)))


def token(claims: dict[str, Any]) -> str:
    return signed(claims | {"iat": NOW - 5, "nbf": NOW - 5, "exp": NOW + 300}, x5t="Rx3a")


def refused(where: Door, claims: dict[str, Any]) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        where.who(token(claims))
    assert refusal.value.message == "this token is not accepted"
    return where.notes[-1]


def test_a_job_gets_the_groups_of_its_rules() -> None:
    assert door(PRODUCTION).who(token(github())) == Principal(
        user="repo:acme/shop:environment:production",
        kind="job",
        groups=("deployers",),
        issuer=GITHUB_ISSUER,
        subject="repo:acme/shop:environment:production",
    )


def test_without_rules_a_job_has_no_groups() -> None:
    assert door().who(token(github())).groups == ()


def test_a_job_that_fits_no_rule_is_refused_and_the_log_alone_says_why() -> None:
    note = refused(door(PRODUCTION, READERS), github(repository="mallory/shop"))
    assert note.endswith("rule 1: `repository` is 'mallory/shop'; rule 2: `repository` is 'mallory/shop'")
    note = refused(door(PRODUCTION), github_pull_request(ref="refs/heads/main", environment="production"))
    assert note.endswith("rule 1: it is not for proposed changes, and its `event_name` is 'pull_request'")
    assert refused(door(PRODUCTION), github(environment=None)).endswith("rule 1: `environment` is missing")


@pytest.mark.parametrize("ref", ["refs/heads/main-evil", "refs/heads/Main", "refs/tags/main", "refs/heads/evil/main"])
def test_a_ref_that_looks_alike_is_refused(ref: str) -> None:
    assert "`ref` is" in refused(door(PRODUCTION), github(ref=ref))


def test_the_same_words_of_another_issuer_are_refused() -> None:
    assert "is not known" in refused(door(PRODUCTION), github(iss="https://token.actions.example.com"))


def test_a_token_for_another_audience_is_refused() -> None:
    assert "audience" in refused(door(PRODUCTION), github(aud="https://github.com/acme"))


def test_rules_make_an_agent() -> None:
    agents = Rule({"workflow": ("review",)}, ("agents",), agent=True)
    assert door(PRODUCTION, agents).who(token(github())).kind == "job"
    assert door(PRODUCTION, agents).who(token(github(workflow="review"))).kind == "agent"


def test_rules_add_to_the_groups_of_people_and_let_nobody_else_in() -> None:
    staff = Rule({"email": ("*@example.com",)}, ("staff",))
    assert Door(human(rules=(staff,))).who(signed(persons_claims())).groups == ("dba", "developers", "staff")
    stranger = Door(human(rules=(staff,), claims=Claims(user="sub")))
    with pytest.raises(Unauthenticated):
        stranger.who(signed(persons_claims(email="ann@example.com.evil.com")))


def test_many_rules_make_no_long_line_in_the_log() -> None:
    note = refused(door(*[PRODUCTION] * 500), github(repository="x" * 5000))
    assert len(note) < 1500

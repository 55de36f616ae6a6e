"""Laws of rules on claims, for whatever a token says and whatever a pattern is made of."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hoopx_broker.identity import proposals
from hoopx_broker.identity.jws import NotAccepted
from hoopx_broker.identity.patterns import fits, problem_of
from hoopx_broker.identity.proposals import proposed
from hoopx_broker.identity.rules import holding
from hoopx_broker.terms.settings import Rule
from tests.unit.job_claims import github, github_pull_request, gitlab

# Few letters, so that patterns and values meet; all signs that could mean something.
NAMES = st.text("ab*/:?[].\\$^\n", max_size=12)
PATTERNS = NAMES.filter(lambda text: problem_of(text) is None)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | NAMES
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
WHEN = st.dictionaries(st.sampled_from(["repository", "ref", "x"]), st.tuples(PATTERNS), min_size=1)
LOOKED_AT = [*proposals._SIGNS, "ref_protected", "project_path", "job_project_path", "source_project_path"]
CLAIMS = st.dictionaries(st.sampled_from(["repository", "x", *LOOKED_AT]), VALUES, max_size=8)


def holds(rule: Rule, claims: dict[str, Any]) -> bool:
    try:
        return bool(holding([rule], claims))
    except NotAccepted:
        return False


@given(PATTERNS, NAMES)
def test_a_pattern_fits_as_its_parts_do(pattern: str, value: str) -> None:
    """The definition once more, in the slowest words: part by part, letter by letter."""
    assert fits(pattern, value) == (bool(value) and _fits_slowly(pattern, value))


@given(PATTERNS, VALUES)
def test_any_claim_at_all_can_be_compared(pattern: str, claim: Any) -> None:
    assert fits(pattern, claim) in (True, False)


@given(WHEN, CLAIMS)
def test_one_condition_more_never_lets_more_in(when: dict[str, Any], claims: dict[str, Any]) -> None:
    if holds(Rule({**when, "more": ("a",)}), claims):
        assert holds(Rule(when), claims)


@given(WHEN, CLAIMS)
def test_no_rule_without_the_word_for_it_holds_for_a_proposed_change(
    when: dict[str, Any], claims: dict[str, Any]
) -> None:
    if proposed(claims) is not None:
        assert not holds(Rule(when), claims)


@given(CLAIMS)
def test_nothing_added_to_a_proposed_change_makes_it_another(more: dict[str, Any]) -> None:
    """But for what told it: those claims the provider sets, not whoever proposes the change."""
    told = {"event_name", "pipeline_source"}
    added = {name: value for name, value in more.items() if name not in told}
    assert proposed(github_pull_request() | added)
    assert proposed(gitlab(pipeline_source="merge_request_event") | added)


@given(st.sampled_from([github(), gitlab()]), NAMES)
def test_a_name_that_a_stranger_chooses_gets_nothing_by_its_looks(claims: dict[str, Any], name: str) -> None:
    """A branch, an environment or a workflow may be called anything."""
    rule = Rule({"environment": ("production",), "ref": ("refs/heads/*",)})
    assert holds(rule, claims | {"environment": name, "ref": f"refs/heads/{name}"}) is False


def _fits_slowly(pattern: str, value: str) -> bool:
    if not pattern:
        return not value
    if pattern == "**":
        return True
    if pattern[0] == "*":
        within = bool(value) and value[0] not in "/:"
        return _fits_slowly(pattern[1:], value) or (within and _fits_slowly(pattern, value[1:]))
    return bool(value) and value[0] == pattern[0] and _fits_slowly(pattern[1:], value[1:])

"""The law of the quorum: reached exactly when different people can be named for every seat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

from hypothesis import example, given
from hypothesis import strategies as st

from hoopx_broker.approvals.quorum import is_reached

GROUPS = ("dba", "security", "legal")

needs = st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 3), max_size=3)
people = st.lists(st.frozensets(st.sampled_from(GROUPS)), max_size=6)


def can_be_seated(needed: Mapping[str, int], voters: Sequence[frozenset[str]]) -> bool:
    """By trying every order of people before the seats: slow, and plainly right."""
    seats = [group for group, number in needed.items() for _ in range(number)]
    return bool(seats) and any(
        all(seat in groups for seat, groups in zip(seats, order, strict=True))
        for order in permutations(voters, len(seats))
    )


@given(needs, people)
@example({}, [])
@example({"dba": 1, "security": 1}, [frozenset({"dba", "security"})])
@example({"dba": 1, "security": 1}, [frozenset({"dba", "security"}), frozenset({"dba"})])
@example({"dba": 2, "security": 1}, [frozenset({"dba", "security"}), frozenset({"dba"}), frozenset({"dba"})])
def test_it_is_reached_exactly_when_everybody_can_be_seated(
    needed: dict[str, int], voters: list[frozenset[str]]
) -> None:
    assert is_reached(needed, voters) == can_be_seated(needed, voters)


@given(needs, people, st.frozensets(st.sampled_from(GROUPS)))
def test_one_more_voice_never_takes_an_agreement_away(
    needed: dict[str, int], voters: list[frozenset[str]], one_more: frozenset[str]
) -> None:
    assert is_reached(needed, [*voters, one_more]) >= is_reached(needed, voters)


@given(needs, people)
def test_the_order_of_the_voices_does_not_matter(needed: dict[str, int], voters: list[frozenset[str]]) -> None:
    assert is_reached(needed, voters) == is_reached(needed, voters[::-1])


def test_a_large_quorum_of_people_in_every_group_is_found_without_trying_everything() -> None:
    everybody = [frozenset(GROUPS)] * 50
    assert is_reached({"dba": 20, "security": 20, "legal": 10}, everybody)
    assert not is_reached({"dba": 20, "security": 20, "legal": 11}, everybody)

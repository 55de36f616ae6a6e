"""Passes for native clients: one target, one opening, a few minutes."""

from __future__ import annotations

import os

import pytest

from hoopx_broker.identity.identity import Identity, Login
from hoopx_broker.identity.passes import LIFE, MAX_HELD_EACH, PREFIX, Pass, Passes, is_pass
from hoopx_broker.terms.errors import Denied, Unauthenticated
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.secret import Secret

NOW = 1_800_000_000.0


class Desk(Passes):
    def __init__(self) -> None:
        self.now = NOW
        super().__init__(lambda: self.now, os.urandom)

    def for_(self, user: str = "ann", token_ends: float = NOW + 9999, behalf: str | None = None) -> tuple[Secret, Pass]:
        who = Principal(user, "human" if behalf is None else "agent", on_behalf_of=behalf)
        return self.give(Identity(who, Login("", user, NOW), NOW, token_ends), "prod-db")


def test_a_pass_is_found_by_its_word_alone() -> None:
    desk = Desk()
    word, given = desk.for_()
    assert is_pass(word)
    assert desk.find(word) == given
    assert desk.find(Secret(given.id)) is None
    assert desk.find(Secret(PREFIX + "made-up")) is None
    assert word.reveal() not in repr(given) + repr(word)


def test_it_opens_within_its_time_and_not_a_moment_later() -> None:
    desk = Desk()
    word, _ = desk.for_()
    desk.now += LIFE - 1
    assert desk.find(word) is not None
    desk.now += 1
    assert desk.find(word) is None


def test_it_lives_no_longer_than_the_token_that_it_was_got_with() -> None:
    desk = Desk()
    word, given = desk.for_(token_ends=NOW + 10)
    assert given.expires_at == NOW + 10
    desk.now += 10
    assert desk.find(word) is None


def test_it_opens_once_and_joins_what_it_opened_as_long_as_that_lives() -> None:
    desk = Desk()
    word, given = desk.for_()
    desk.open_with(given.id)
    with pytest.raises(Unauthenticated, match="already"):
        desk.open_with(given.id)
    desk.now += 10 * LIFE
    desk.for_("bob")  # which clears up
    assert desk.find(word) == given
    desk.is_over(given.id)
    assert desk.find(word) is None
    with pytest.raises(Unauthenticated):
        desk.open_with(given.id)


def test_one_person_cannot_take_them_all() -> None:
    desk = Desk()
    for _ in range(MAX_HELD_EACH):
        desk.for_()
    with pytest.raises(Denied, match="too many"):
        desk.for_()
    desk.for_("bob")
    desk.now += LIFE
    desk.for_()


def test_an_agent_takes_its_humans_passes_and_nobody_elses() -> None:
    desk = Desk()
    for _ in range(MAX_HELD_EACH):
        desk.for_("claude", behalf="ann")
    with pytest.raises(Denied, match="too many"):
        desk.for_("ann")
    desk.for_("claude", behalf="bob")


def test_the_end_of_what_is_no_pass_is_nothing() -> None:
    Desk().is_over("")

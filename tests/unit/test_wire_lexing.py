"""Settings that decide where a string ends are followed; a text that depends on one in doubt waits, or is refused."""

from __future__ import annotations

import pytest

from hoopx_broker.masking.plan import OPEN
from hoopx_broker.terms.rulings import Allow, Deny
from hoopx_broker.wire.effects import Judge, Passage
from tests.unit.wire_stage import (
    Stage,
    bind,
    bound,
    done,
    error,
    execute,
    flush,
    parse,
    parsed,
    query,
    ready,
    refused,
    status,
    sync,
)

DELICATE = "select '\\', '; drop table orders; --'"
PLAIN = "select 'x'; select 1"


def rule(asked: Judge) -> Passage | Deny:
    return Passage(Allow(("everything",)), OPEN, may_relex=asked.text.startswith(b"set"))


def stage(conforming: str = "on") -> Stage:
    found = Stage.ready(rule)
    if conforming != "on":
        found.client_says(query("set it"))
        found.backend_says(status("standard_conforming_strings", conforming), done("SET"), ready())
        assert found.backend_heard, found.client_heard
    return found


@pytest.mark.parametrize("text", [PLAIN, "set standard_conforming_strings to on"])
def test_a_text_without_backslash_reads_alike_in_both_ways(text: str) -> None:
    off = stage("off")
    off.client_says(query(text))
    assert off.backend_heard == query(text)


@pytest.mark.parametrize("text", [DELICATE, "select E'\\n'"])
def test_a_backslash_is_refused_while_strings_do_not_conform(text: str) -> None:
    off = stage("off")
    off.client_says(query(text))
    assert off.backend_heard == refused(simple=True)
    off.backend_says(error(), ready())
    off.client_says(query("set on"))
    off.backend_says(status("standard_conforming_strings", "on"), done("SET"), ready())
    assert off.client_heard
    off.forget()
    off.client_says(query(text))
    assert off.backend_heard.endswith(query(text))


@pytest.mark.parametrize("text", [DELICATE, "select 'z\u00e4h'"])
def test_a_delicate_text_waits_until_the_server_has_told_what_changed(text: str) -> None:
    scene = stage()
    scene.client_says(query("set it"), query(text))
    assert scene.backend_heard == query("set it")
    scene.backend_says(status("standard_conforming_strings", "off"), done("SET"), ready())
    told = refused(simple=True) if "\\" in text else query(text)
    assert scene.backend_heard == told


def test_one_that_is_not_delicate_does_not_wait() -> None:
    scene = stage()
    scene.client_says(query("set it"), query(PLAIN))
    assert scene.backend_heard == query("set it") + query(PLAIN)


def test_within_one_pipeline_it_cannot_wait_and_is_refused() -> None:
    scene = stage()
    before = parse("set it") + bind() + execute()
    scene.client_says(before, flush(), parse(DELICATE), sync())
    assert scene.backend_heard == before + flush() + refused(simple=False) + sync()
    scene.backend_says(parsed(), bound(), done("SET"), error(), ready())
    scene.client_says(parse(DELICATE), sync())
    assert scene.backend_heard == parse(DELICATE) + sync()


def test_beyond_a_sync_it_waits() -> None:
    scene = stage()
    before = parse("set it") + bind() + execute() + sync()
    scene.client_says(before, parse(DELICATE), sync())
    assert scene.backend_heard == before
    scene.backend_says(parsed(), bound(), done("SET"), status("standard_conforming_strings", "on"), ready())
    assert scene.backend_heard == parse(DELICATE) + sync()


def test_after_strings_did_not_conform_once_any_statement_may_bring_that_back() -> None:
    """`ROLLBACK` undoes a `SET standard_conforming_strings TO on`."""
    scene = stage("off")
    scene.client_says(query("set on"))
    scene.backend_says(status("standard_conforming_strings", "on"), done("SET"), ready("T"))
    scene.forget()
    scene.client_says(query("rollback"), query(DELICATE))
    assert scene.backend_heard.endswith(query("rollback"))
    scene.backend_says(status("standard_conforming_strings", "off"), done("ROLLBACK"), ready())
    assert scene.backend_heard == refused(simple=True)


def test_rows_do_not_settle_it() -> None:
    scene = stage()
    scene.client_says(query("set it"), query("select 1"), query(DELICATE))
    scene.backend_says(done("SET"), ready())
    assert scene.backend_heard == query("set it") + query("select 1")
    scene.backend_says(done("SELECT 1"), ready())
    assert scene.backend_heard == query(DELICATE)


def test_what_was_read_at_its_parse_runs_whatever_the_settings_are_now() -> None:
    scene = stage()
    scene.client_says(parse(DELICATE, "kept"), sync())
    scene.backend_says(parsed(), ready())
    scene.client_says(query("set it"))
    scene.backend_says(status("standard_conforming_strings", "off"), done("SET"), ready())
    scene.forget()
    run = bind("kept") + execute() + sync()
    scene.client_says(run)
    assert scene.backend_heard == run


@pytest.mark.parametrize(
    ("setting", "other", "usual"),
    [("standard_conforming_strings", "off", "on"), ("client_encoding", "LATIN1", "UTF8")],
)
def test_after_a_change_a_pipeline_of_one_statement_passes_whole(setting: str, other: str, usual: str) -> None:
    scene = stage()
    for value in (other, usual):
        scene.client_says(query("set it"))
        scene.backend_says(status(setting, value), done("SET"), ready())
    scene.forget()
    whole = parse(DELICATE) + bind() + execute() + sync()
    scene.client_says(whole)
    assert scene.backend_heard == whole


def test_after_a_change_what_runs_before_in_the_pipeline_may_end_a_transaction() -> None:
    scene = stage("off")
    scene.client_says(query("set on"))
    scene.backend_says(status("standard_conforming_strings", "on"), done("SET"), ready("T"))
    scene.forget()
    before = parse("rollback") + bind() + execute()
    scene.client_says(before, parse(DELICATE), sync())
    assert scene.backend_heard == before + refused(simple=False) + sync()

"""A request read and answered in a browser: what is shown to whom, and whose answer counts for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopx_broker.identity.embedded import people
from hoopx_broker.terms.ids import RequestId
from tests.unit.pages_stage import PagesStage, Play, player


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(people, "_COST", 2)  # these tests are not about the price of a guess
    return player(tmp_path / "state.db")


def test_an_approver_reads_all_of_it_and_agrees_with_a_comment(play: Play) -> None:
    async def scene(stage: PagesStage) -> None:
        view = await stage.ask()
        dora = await stage.of("dora")
        page = await dora.get(f"/requests/{view.id}")
        assert page.status_code == 200
        for said in ("delete from orders where id = 7", "a customer asked", "OPS-7", "ann", "prod-db", "sensitive"):
            assert said in page.text
        assert "1 person of <code>dba</code>" in page.text
        sent = await dora.answer(page, "approve", "looks right")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/requests/{view.id}")
        after = await dora.get(sent.headers["location"])
        assert "looks right" in after.text
        assert "<textarea" not in after.text
        [ballot] = (await stage.desk.get(RequestId(view.id))).ballots
        assert (ballot.approver, ballot.verdict, ballot.comment) == ("dora", "approve", "looks right")

    play(scene)
